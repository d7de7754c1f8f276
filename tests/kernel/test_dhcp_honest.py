"""Honest DHCP clients of many kinds, one after another on one NIC.

Each speaks as its makers wrote it: what it calls itself, what it asks for,
whether it wants its answer as a broadcast.  All of them are one guest by
its MAC, and get that guest's address and never a refusal.
"""

import struct

import pytest
from dhcp_hosts import (
    ACK,
    DISCOVER,
    OFFER,
    RELEASE,
    REQUEST,
    serving_host,
)
from test_dhcp_identity import ADDRESSES, MACS, SERVER, Pair, about, client_id

INFORM = 8
HARDWARE = bytes.fromhex(MACS[1].replace(":", ""))
UUID = bytes(range(16))


def option(number, data):
    return bytes((number, len(data))) + data


# What each kind of client puts into every message.
PXE = (
    option(93, b"\0\0")
    + option(94, b"\1\2\1")
    + option(97, b"\0" + UUID)
    + option(60, b"PXEClient:Arch:00000:UNDI:002001")
    + option(55, bytes((1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 43, 54, 60, 66, 67)))
    + option(57, struct.pack("!H", 1260))
)
UEFI = (
    option(93, b"\0\7")
    + option(94, b"\1\3\x10")
    + option(97, b"\0" + UUID)
    + option(60, b"PXEClient:Arch:00007:UNDI:003016")
    + option(57, struct.pack("!H", 1472))
)
IPXE = (
    option(77, b"iPXE")
    + option(93, b"\0\0")
    + option(97, b"\0" + UUID)
    + option(60, b"PXEClient:Arch:00000:UNDI:002001")
    + option(175, b"\xb1\5\1\x1a\xf4\x10\0\xeb\3\1\0\0")
    + client_id(b"\1" + HARDWARE)
)
WINDOWS = (
    client_id(b"\1" + HARDWARE)
    + option(12, b"DESKTOP-0A1B2C3")
    + option(81, b"\0\0\0DESKTOP-0A1B2C3")
    + option(60, b"MSFT 5.0")
    + option(55, bytes((1, 3, 6, 15, 31, 33, 43, 44, 46, 47, 119, 121, 249)))
)
NETWORKD = (
    client_id(b"\xff\xca\x53\x09\x5a\0\2\0\0\xab\x11" + UUID[:8])
    + option(57, struct.pack("!H", 1472))
    + option(12, b"debian")
)
OTHER_DUID = client_id(b"\xff\0\0\0\1\0\1\0\1\x2c\x11\x22\x33" + HARDWARE)
DHCLIENT = option(12, b"guest") + option(55, bytes((1, 28, 2, 3, 15, 6, 12)))
UDHCPC = option(60, b"udhcp 1.35.0") + option(57, struct.pack("!H", 576))
CLIENTS = (PXE, UEFI, IPXE, WINDOWS, NETWORKD, OTHER_DUID, DHCLIENT, UDHCPC)


@pytest.fixture
def pair(namespaces, tmp_path):
    with serving_host(namespaces, tmp_path) as host:
        yield Pair(host, namespaces)


def exchanges():
    """(kind, fields, expected kind) of all that the clients say in turn."""
    own = ADDRESSES[1]
    for client in CLIENTS:
        yield DISCOVER, {"options": client}, OFFER
        yield REQUEST, {"options": about(own) + client}, ACK
    # Those that live on: after a reboot, at T1, at T2, and for more.
    for client in (WINDOWS, NETWORKD, DHCLIENT, UDHCPC):
        reboot = option(50, bytes((10, 0, 0, 2))) + client
        yield REQUEST, {"options": reboot}, ACK
        yield REQUEST, {"address": own, "options": client}, ACK
        renewing = {"address": own, "server": SERVER, "options": client}
        yield REQUEST, renewing, ACK
        yield INFORM, {"address": own, "options": client}, ACK
    # Given back, and taken by the next one.
    yield RELEASE, {"address": own, "options": about(own) + DHCLIENT}, None
    yield DISCOVER, {"options": IPXE}, OFFER
    yield REQUEST, {"options": about(own) + IPXE}, ACK


def test_all_of_them_get_what_is_theirs(pair):
    pair.guard()
    told = list(exchanges())
    assert len(told) == 35
    for kind, fields, expected in told:
        patience = 5 if expected else 0.1
        answers = pair.says(1, kind=kind, patience=patience, **fields)
        # To INFORM a server answers about the network, and no address.
        own = "0.0.0.0" if kind == INFORM else ADDRESSES[1]
        wanted = [(expected, own, SERVER)] if expected else []
        assert answers == wanted, (kind, fields)
    # The other one, who was silent, is no worse off.
    pair.gets_its_address(2)
