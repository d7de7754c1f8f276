"""Connections that the kernel tracks, made by hand and read again."""

import re
import socket
from contextlib import suppress

from host_state import output

_FLOW = re.compile(
    r"^(?P<protocol>tcp|udp) .*?src=(?P<source>\S+) dst=(?P<target>\S+) "
    r"sport=\d+ dport=(?P<port>\d+) "
)
_DISCARD = 9
_LINK_LOCAL = "fe80:"
_STATES = {"tcp": ("--state", "ESTABLISHED"), "udp": ()}


def connect(packet, number):
    """Have the kernel track a connection that this packet began.

    A real one is noted by the guard for the packet (see
    `flatnet.apply.filter.guard.peers`), so the host sends to both ends.
    """
    family = socket.AF_INET6 if ":" in packet.target else socket.AF_INET
    output(
        *("conntrack", "-I", "-t", "600", "-u", "SEEN_REPLY,ASSURED"),
        *("-p", packet.protocol, *_STATES[packet.protocol]),
        *("-s", packet.source, "-d", packet.target),
        *("--sport", str(number), "--dport", str(packet.port)),
    )
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        for end in (packet.source, packet.target):
            # The rules need not let it out.
            with suppress(PermissionError):
                asking.sendto(b"", (end, _DISCARD))


def tracked(listed):
    """The first packets of all connections that there are."""
    return {
        (found["source"], found["target"], found["protocol"], found["port"])
        for found in map(_FLOW.match, listed.splitlines())
        if found
    }


def is_of(packet, flows):
    """Whether the connection that a packet would begin is among these."""
    return (
        packet.source,
        packet.target,
        packet.protocol,
        str(packet.port),
    ) in flows


def can_connect(packet):
    """Whether such a connection can be made by hand.

    The host itself has no way to who is on a link of its bridges.
    """
    return packet.protocol in _STATES and not any(
        end.startswith(_LINK_LOCAL) for end in (packet.source, packet.target)
    )
