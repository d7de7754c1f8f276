"""Rules about protocols other than TCP, UDP and ICMP, with packets."""

import itertools
import socket
import struct

import pytest
from filtered import plan, rule
from segment import ethernet, guest, segment

from flatnet.apply.filter.iptables.matches import accepted
from flatnet.plan.openings import openings
from flatnet.state.grouprules import PROTOCOLS, fault
from flatnet.state.rows import SecurityRule

COUNT = itertools.count(1)
HEADS = {
    "gre": bytes(4),
    "esp": struct.pack(">II", 0x1000, 1),
    "ah": struct.pack(">BBHII", 59, 1, 0, 0x1000, 1),
    "vrrp": bytes((0x31, 1, 100, 0, 0, 1, 0, 0)),
}


@pytest.fixture(scope="module")
def net():
    with segment() as built:
        yield built


def ip_packet(protocol, body):
    """An IPv4 packet of guest 2 for guest 1."""
    head = struct.pack(
        ">BBHHHBBH4s4s",
        *(0x45, 0, 20 + len(body), 1, 0, 64, PROTOCOLS[protocol], 0),
        socket.inet_aton("10.0.0.3"),
        socket.inet_aton("10.0.0.2"),
    )
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack(">H", 0xFFFF - total) + head[12:] + body


def crc32c(data):
    """The checksum of SCTP, without which a packet is invalid."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return struct.pack("<I", value ^ 0xFFFFFFFF)


def sctp_init(port, text):
    """The first packet of an association, with a parameter of its own."""
    text += bytes(-len(text) % 4)
    body = struct.pack(">IIHHI", 7, 65536, 1, 1, 7)
    body += struct.pack(">HH", 0xC123, 4 + len(text)) + text
    chunk = struct.pack(">BBH", 1, 0, 4 + len(body)) + body
    head = struct.pack(">HHI", 5999, port, 0)
    return head + crc32c(head + bytes(4) + chunk) + chunk


def frame(protocol, port, marker):
    text = f"marker:{marker};".encode()
    if protocol == "sctp":
        body = sctp_init(port, text)
    else:
        body = HEADS[protocol] + text
    macs = (guest(1).mac, guest(2).mac)
    return ethernet(0x0800, ip_packet(protocol, body), macs=macs)


def seen(net, *rules):
    """Which of these packets of guest 2 come to guest 1 by these rules."""
    guests = (guest(1, security_group_ids=(1,)), guest(2))
    last = rule(99, "udp", 5999, 5999)
    warnings = plan(net, guests, (*rules, last), allow_same_net_traffic=False)
    assert warnings == ()
    sent = {
        f"{next(COUNT)}{protocol}{port}": (protocol, port)
        for protocol, port in (
            *((protocol, "") for protocol in HEADS),
            *(("sctp", port) for port in (2905, 2906, 2907)),
        )
    }
    end = f"end{next(COUNT)}"
    net.guests[2].send(
        *(frame(*what, marker) for marker, what in sent.items()),
        _end(end),
    )
    markers = net.guests[1].wait_for(end)
    return {f"{p}{n}" for marker, (p, n) in sent.items() if marker in markers}


def _end(marker):
    """What always comes, so that all before it came or never will."""
    body = f"marker:{marker};".encode()
    udp = struct.pack(">HHHH", 5999, 5999, 8 + len(body), 0) + body
    macs = (guest(1).mac, guest(2).mac)
    return ethernet(0x0800, ip_packet("udp", udp), macs=macs)


@pytest.mark.parametrize("name", sorted(HEADS))
def test_a_protocol_by_its_name_and_no_other(net, name):
    assert seen(net) == set()
    assert seen(net, rule(1, name)) == {name}
    assert seen(net, rule(1, str(PROTOCOLS[name]))) == {name}


def test_sctp_by_its_ports(net):
    assert seen(net, rule(1, "sctp", 2906, 2906)) == {"sctp2906"}
    assert seen(net, rule(1, "132", 2905, 2906)) == {"sctp2905", "sctp2906"}
    found = seen(net, rule(1, "sctp"))
    assert found == {"sctp2905", "sctp2906", "sctp2907"}


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "::/0"])
@pytest.mark.parametrize("program", ["", "-legacy"])
def test_what_is_not_refused_is_taken_by_iptables(net, cidr, program):
    """Every name that we know, with ports where it has some."""
    family = "ip6" if ":" in cidr else "ip"
    ports = ((None, None), (7, 7), (0, 65535))
    rules = [
        SecurityRule(1, name, *pair, cidr)
        for name in (*sorted(PROTOCOLS), "icmp", "icmpv6", None)
        for pair in ports
    ]
    texts = [
        accepted(opening)
        for each in rules
        if fault(each) is None
        for opening in openings(each, {})
    ]
    assert len(texts) > len(PROTOCOLS)
    lines = "".join(f"-A taken {text}\n" for text in texts)
    restore = f"{family}tables{program}-restore --noflush --test"
    said = net.node.run(
        *("sh", "-c", f"{restore} 2>&1"),
        text=f"*filter\n:taken - [0:0]\n{lines}COMMIT\n",
    )
    assert said == ""
