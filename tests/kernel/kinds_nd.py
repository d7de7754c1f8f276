"""Kinds of frames of neighbour discovery, as `frame_kinds` says.

The mark stands behind the packet, so that the message itself is whole.
"""

import struct

from frames import IP6, ether, icmp6, ip6, mac_bytes, packed

EVERYONE = "ff02::1"
NOBODY = "::"
# The options: source's and target's link-layer address, nonce.
SOURCE, TARGET, NONCE = 1, 2, 14


def of_discovery(sender, target, other):
    return {**_honest(sender, target), **_forged(sender, target, other)}


def _honest(sender, target):
    to_all, to_target = _ways(sender, target)
    own, asking = (TARGET, sender.mac), (SOURCE, sender.mac)
    mine, yours = sender.ip6, target.ip6
    return {
        "nd solicitation": to_all(135, yours, asking),
        "nd solicitation without option": to_target(135, yours),
        "nd advertisement": to_target(136, mine, own),
        "nd advertisement without option": to_target(136, mine),
        "nd advertisement to all": to_all(136, mine, own),
        "nd dad": to_all(135, mine, source=NOBODY),
        "nd dad with nonce": to_all(
            135, mine, (NONCE, sender.mac), source=NOBODY
        ),
        "nd router solicitation": to_all(133, None, asking),
    }


def _forged(sender, target, other):
    to_all, to_target = _ways(sender, target)
    own, asking = (TARGET, sender.mac), (SOURCE, sender.mac)
    mine, yours, theirs = sender.ip6, target.ip6, other.ip6
    return {
        "nd dad of other's ip6": to_all(135, theirs, source=NOBODY),
        "nd dad with a mac": to_all(135, mine, asking, source=NOBODY),
        "nd advertisement of other's ip6": to_target(136, theirs, own),
        "nd advertisement of target's ip6": to_all(136, yours, own),
        "nd solicitation of other's ip6": to_all(
            135, yours, asking, source=theirs
        ),
        "nd solicitation with other's mac": to_all(
            135, yours, (SOURCE, other.mac)
        ),
        "nd advertisement with other's mac": to_target(
            136, mine, (TARGET, other.mac)
        ),
        "nd advertisement with two macs": to_target(
            136, mine, own, (TARGET, other.mac)
        ),
        "nd advertisement with an odd option": to_target(
            136, mine, (200, sender.mac)
        ),
        "nd router solicitation with other's mac": to_all(
            133, None, (SOURCE, other.mac)
        ),
    }


def _ways(sender, target):
    """Functions that make a message to all, and one to the target."""

    def to_all(kind, about, *options, source=sender.ip6):
        ends = (source, EVERYONE, "33:33:00:00:00:01")
        return message(sender, ends, kind, about, *options)

    def to_target(kind, about, *options):
        ends = (sender.ip6, target.ip6, target.mac)
        return message(sender, ends, kind, about, *options)

    return to_all, to_target


def message(sender, ends, kind, about, *options):
    """A frame with a message on `about`; `ends` are from, to, to MAC."""
    source, destination, to = ends
    # Override, and solicited where it is for one.
    flags = 0x20000000 if destination == EVERYONE else 0x60000000
    body = struct.pack("!I", flags if kind == 136 else 0)
    body += packed(about) if about else b""
    for number, mac in options:
        body += struct.pack("!BB", number, 1) + mac_bytes(mac)
    packet = ip6(
        source, destination, 58, icmp6(source, destination, kind, body)
    )
    return lambda mark: ether(to, sender.mac, IP6, packet + mark)
