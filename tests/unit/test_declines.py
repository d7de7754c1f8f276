"""What a frame declines, whatever is in it."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatnet.apply.dhcp.declines import declined

MAC = "fa:16:3e:00:00:01"
OWN = socket.inet_aton("10.0.0.2")
DECLINE = bytes((53, 1, 4))
REQUESTED = bytes((50, 4)) + OWN
SERVER = "10.0.0.1"
TO_SERVER = bytes((54, 4)) + socket.inet_aton(SERVER)


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
        DECLINE + REQUESTED + TO_SERVER,
        TO_SERVER + REQUESTED + DECLINE,
        b"\0\0"
        + DECLINE
        + TO_SERVER
        + b"\0"
        + REQUESTED
        + b"\xff"
        + bytes(20),
        DECLINE + bytes((61, 2, 53, 1)) + REQUESTED + TO_SERVER + b"\xff",
    ],
)
def test_a_decline_is_known_wherever_its_options_stand(options):
    assert declined(frame(options), SERVER) == ("10.0.0.2", MAC)
    assert declined(frame(options, words=15), SERVER) == ("10.0.0.2", MAC)


@pytest.mark.parametrize(
    "options",
    [
        bytes((53, 1, 3)) + REQUESTED + TO_SERVER,
        DECLINE + TO_SERVER,
        DECLINE + TO_SERVER + bytes((50, 3)) + OWN[:3],
        DECLINE + TO_SERVER + bytes((255,)) + REQUESTED,
        DECLINE + TO_SERVER + bytes((50,)),
        bytes((53, 1, 1)) + REQUESTED + TO_SERVER + DECLINE,
        DECLINE + REQUESTED,
        DECLINE + REQUESTED + bytes((54, 4)) + OWN,
    ],
)
def test_what_declines_nothing(options):
    assert declined(frame(options), SERVER) is None


def test_what_is_no_bootp_declines_nothing():
    data = frame(DECLINE + REQUESTED + TO_SERVER, cookie="00000000")
    assert declined(data, SERVER) is None


@given(st.binary(max_size=400))
def test_rubbish_declines_nothing(data):
    assert declined(data, SERVER) is None
    assert declined(frame(data), SERVER) is None or DECLINE in data
