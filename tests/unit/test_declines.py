"""What a frame declines, whatever is in it."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatnet.apply.declines import declined

MAC = "fa:16:3e:00:00:01"
OWN = socket.inet_aton("10.0.0.2")
DECLINE = bytes((53, 1, 4))
REQUESTED = bytes((50, 4)) + OWN


def frame(options, *, words=5, cookie="63825363"):
    """A frame with a BOOTP message; its IP header has so many words."""
    body = (
        bytes((1, 1, 6, 0)) + bytes(24) + bytes.fromhex(MAC.replace(":", ""))
    )
    body = body.ljust(236, b"\0") + bytes.fromhex(cookie) + options
    head = bytes((0x40 | words,)).ljust(words * 4, b"\0")
    return bytes(14) + head + struct.pack("!HHHH", 68, 67, 0, 0) + body


@pytest.mark.parametrize(
    "options",
    [
        DECLINE + REQUESTED,
        REQUESTED + DECLINE,
        b"\0\0" + DECLINE + b"\0" + REQUESTED + b"\xff" + bytes(20),
        DECLINE + bytes((61, 2, 53, 1)) + REQUESTED + bytes((255,)),
    ],
)
def test_a_decline_is_known_wherever_its_options_stand(options):
    assert declined(frame(options)) == ("10.0.0.2", MAC)
    assert declined(frame(options, words=15)) == ("10.0.0.2", MAC)


@pytest.mark.parametrize(
    "data",
    [
        frame(bytes((53, 1, 3)) + REQUESTED),
        frame(DECLINE),
        frame(DECLINE + bytes((50, 3)) + OWN[:3]),
        frame(DECLINE + bytes((255,)) + REQUESTED),
        frame(DECLINE + bytes((50,))),
        frame(DECLINE + REQUESTED, cookie="00000000"),
        frame(bytes((53, 1, 1)) + REQUESTED + DECLINE),
    ],
)
def test_what_declines_nothing(data):
    assert declined(data) is None


@given(st.binary(max_size=400))
def test_rubbish_declines_nothing(data):
    assert declined(data) is None
    assert declined(frame(data)) is None or DECLINE in data
