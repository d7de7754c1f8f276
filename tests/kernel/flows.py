"""Connections that the kernel tracks, made by hand and read again."""

import re

from host_state import output

_FLOW = re.compile(
    r"^(?P<protocol>tcp|udp) .*?src=(?P<source>\S+) dst=(?P<target>\S+) "
    r"sport=\d+ dport=(?P<port>\d+) "
)
_STATES = {"tcp": ("--state", "ESTABLISHED"), "udp": ()}


def connect(packet, number):
    """Have the kernel track a connection that this packet began."""
    output(
        *("conntrack", "-I", "-t", "600", "-u", "SEEN_REPLY,ASSURED"),
        *("-p", packet.protocol, *_STATES[packet.protocol]),
        *("-s", packet.source, "-d", packet.target),
        *("--sport", str(number), "--dport", str(packet.port)),
    )


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
    """Whether such a connection can be made by hand."""
    return packet.protocol in _STATES and ":" not in packet.target
