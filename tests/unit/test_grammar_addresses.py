"""An address is written in one way alone, that of `ipaddress`."""

import ipaddress
import random

import pytest

from flatnet.apply.grammar import values


def texts(seed):
    chance = random.Random(seed)
    octets = ("0", "1", "9", "255", "256", "01", "")
    groups = (":", "::", "0", "1", "ffff", "fe80", "1.2.3.4", "0abc")
    for _ in range(500):
        yield ".".join(chance.choices(octets, k=chance.randint(3, 5)))
        yield "".join(chance.choices(groups, k=chance.randint(1, 10)))
        yield str(ipaddress.IPv4Address(chance.getrandbits(32)))
        bits = chance.getrandbits(chance.choice((16, 32, 48, 128)))
        mapped = chance.choice((0, 0xFFFF << 32))
        yield str(ipaddress.IPv6Address(bits | mapped))
        words = [chance.choice((0, 0, 1, 0xFE80)) for _ in range(8)]
        yield ":".join(f"{each:x}" for each in words)


@pytest.mark.parametrize("seed", range(5))
def test_an_address_is_taken_if_it_is_written_as_it_would_be_printed(seed):
    for text in texts(seed):
        assert is_taken(text) == is_printed(text), text


def is_taken(text):
    try:
        values.address(text)
    except ValueError:
        return False
    return True


def is_printed(text):
    try:
        return str(ipaddress.ip_address(text)) == text
    except ValueError:
        return False
