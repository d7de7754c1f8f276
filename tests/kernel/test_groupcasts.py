"""Multicast and broadcast reach the members that rules let them reach."""

import itertools
import struct

import pytest
from filtered import plan, rule
from frames import arp, checksum, ether, icmp, ip, ip6, udp
from segment import guest, segment

CLOSED = {"allow_same_net_traffic": False}
BROADCAST = "ff:ff:ff:ff:ff:ff"
COUNT = itertools.count(1)
MACS = {
    "10.0.0.2": guest(1).mac,
    "10.0.0.3": guest(2).mac,
    "10.0.0.4": guest(3).mac,
    "10.0.0.50": "fa:16:3e:00:00:32",
}


@pytest.fixture(scope="module")
def net():
    with segment() as built:
        yield built


def group_mac(address):
    last = bytes(map(int, address.split(".")))
    if last[0] >> 4 != 14:
        return BROADCAST
    return bytes((1, 0, 0x5E, last[1] & 0x7F, *last[2:])).hex(":")


def groupcast(source, target, protocol=17, port=5000, there=None):
    """A function from a mark to a frame."""

    def body(mark):
        if protocol == 17:
            return udp(5999, port, mark)
        return icmp(8, mark) if protocol == 1 else mark

    return lambda mark: ether(
        there or group_mac(target),
        MACS[source],
        0x0800,
        ip(source, target, protocol, body(mark)),
    )


def arrivals(net, source, frames):
    """Return {name: who saw it}, of frames that `source` sends.

    A last one, an honest ARP request, tells that all had their turn.
    """
    run = next(COUNT)
    hosts = {"10.0.0.50": net.other} | {
        f"10.0.0.{number + 1}": each for number, each in net.guests.items()
    }
    marks = {name: f"m{run}-{n}" for n, name in enumerate(frames)}
    sent = [
        build(f"marker:{marks[name]};".encode())
        for name, build in frames.items()
    ]
    end = f"end{run}"
    asked = arp(1, MACS[source], source, asked="10.0.0.9")
    last = asked + f"marker:{end};".encode()
    hosts.pop(source).send(*sent, ether(BROADCAST, MACS[source], 0x806, last))
    for each in hosts.values():
        each.wait_for(end)
    return {
        name: sorted(
            address for address, each in hosts.items() if mark in each.seen
        )
        for name, mark in marks.items()
    }


def members(net, *rules, groups=((1,), (1,), ()), **options):
    """Guests 1 and 2 are in group 1, and guest 3 in none, unless said."""
    guests = tuple(
        guest(number, security_group_ids=mine)
        for number, mine in enumerate(groups, 1)
    )
    return plan(net, guests, rules, **CLOSED, **options)


def every_kind(source):
    return {
        "vrrp": groupcast(source, "224.0.0.18", 112),
        "udp": groupcast(source, "239.1.2.3"),
        "other port": groupcast(source, "239.1.2.3", port=5001),
        "all": groupcast(source, "255.255.255.255"),
        "network": groupcast(source, "10.0.0.255"),
        "echo": groupcast(source, "224.0.0.1", 1),
        "in unicast": groupcast(source, "239.1.2.3", there=MACS["10.0.0.2"]),
    }


FAR = "10.0.0.50"
RULES = (
    rule(1, "112", group_id=7),
    rule(2, "udp", 5000, 5000, group_id=7),
    rule(3, "icmp", 8, -1, group_id=7),
)
ALL_OF_GROUP = ((7, ("10.0.0.2", "10.0.0.3", FAR)),)


@pytest.mark.parametrize("source", ["10.0.0.3", FAR])
def test_members_get_what_rules_let_in(net, source):
    """From a guest of this host, and over the uplink."""
    members(net, *RULES, members=ALL_OF_GROUP)
    found = arrivals(net, source, every_kind(source))
    here = sorted({"10.0.0.2", "10.0.0.3", FAR} - {source})
    beyond = sorted({FAR} - {source})
    assert found == {
        **dict.fromkeys(("vrrp", "udp", "all", "network", "echo"), here),
        "other port": beyond,
        "in unicast": ["10.0.0.2"],
    }


def test_nobody_gets_what_no_rule_lets_in(net):
    """Guest 3 is in no group that is a source, and guest 1 in none."""
    members(net, *RULES, groups=((), (1,), ()), members=ALL_OF_GROUP)
    for source in ("10.0.0.4", "10.0.0.3"):
        kinds = every_kind(source)
        found = arrivals(net, source, kinds)
        assert {n for name in kinds for n in found[name]} <= {FAR}
    members(net, *RULES)
    found = arrivals(net, FAR, every_kind(FAR))
    assert not any(found.values())


def test_an_answer_opens_a_group_to_nobody(net):
    """Who forges one from beyond makes a connection of it."""
    members(net, rule(1, "udp", 5000, 5000, cidr="10.0.0.3/32"))
    asked = {"udp": groupcast("10.0.0.3", "239.1.2.3")}
    assert arrivals(net, "10.0.0.3", asked) == {"udp": ["10.0.0.2", FAR]}
    answer = ip("239.1.2.3", "10.0.0.3", 17, udp(5000, 5999, b"answer"))
    net.other.send(ether(MACS["10.0.0.3"], MACS[FAR], 0x0800, answer))
    assert arrivals(net, "10.0.0.3", asked) == {"udp": ["10.0.0.2", FAR]}
    # Nor does what it was opened by once open it when it is gone.
    members(net, rule(1, "udp", 5001, 5001, cidr="10.0.0.3/32"))
    assert arrivals(net, "10.0.0.3", asked) == {"udp": [FAR]}


def test_each_guest_has_its_own_groups(net):
    """Two profiles, of which one has no rule at all."""
    plan(
        net,
        (
            guest(1, security_group_ids=(1,)),
            guest(2),
            guest(3, security_group_ids=(99,)),
        ),
        [rule(1, cidr="10.0.0.0/24")],
        **CLOSED,
    )
    for source in ("10.0.0.3", FAR):
        found = arrivals(net, source, every_kind(source))
        assert all("10.0.0.2" in who for who in found.values())
        assert not any("10.0.0.4" in who for who in found.values())


def test_rules_that_are_gone_let_in_nothing(net):
    members(net, *RULES, members=ALL_OF_GROUP)
    sent = every_kind("10.0.0.3")
    for flush in (
        "iptables -F flatnet-groupcast",
        "iptables -F flatnet-local",
        "iptables -F flatnet-FORWARD",
        "iptables -F",
        "ipset flush",
        "sysctl -qw net.bridge.bridge-nf-call-iptables=0",
    ):
        net.node.run(flush)
        found = arrivals(net, "10.0.0.3", sent)
        assert not any("10.0.0.2" in who for who in found.values()), flush
    net.node.run("sysctl -qw net.bridge.bridge-nf-call-iptables=1")
    members(net, *RULES, members=ALL_OF_GROUP)
    assert "10.0.0.2" in arrivals(net, "10.0.0.3", sent)["vrrp"]


def query(mark):
    """What a switch asks members with; guests may not."""
    body = struct.pack("!BBH4s", 0x11, 100, 0, bytes(4)) + mark
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    return ether(
        group_mac("224.0.0.1"),
        MACS[FAR],
        0x0800,
        ip(FAR, "224.0.0.1", 2, body, options=b"\x94\x04\0\0"),
    )


def test_who_may_get_any_is_asked_for_its_groups(net):
    members(net, *RULES, members=ALL_OF_GROUP)
    found = arrivals(net, FAR, {"query": query})
    assert found == {"query": ["10.0.0.2", "10.0.0.3"]}


def test_the_host_gets_none_of_it(net):
    members(net, *RULES, members=ALL_OF_GROUP)
    source = "10.0.0.3"
    net.node.run("iptables -N seen")
    net.node.run("iptables -I INPUT -j seen")
    for number, target in enumerate(
        ("224.0.0.1", "239.1.2.3", "255.255.255.255", "10.0.0.255"), 1
    ):
        net.node.run(f"iptables -A seen -d {target} -p udp --dport 5000")
        arrivals(net, source, {"udp": groupcast(source, target)})
        counted = net.node.run(f"iptables -nvxL seen {number}")
        assert counted.split()[0] == "0", target
    net.node.run("iptables -D INPUT -j seen")


def test_multicast_of_ipv6(net):
    source, mac = "fe80::f816:3eff:fe00:2", MACS["10.0.0.3"]

    def frame(port):
        def build(mark):
            ends = source, "ff02::1:3"
            body = ip6(*ends, 17, udp(5999, port, mark, over=ends))
            return ether("33:33:00:01:00:03", mac, 0x86DD, body)

        return build

    members(net, rule(1, "udp", 5000, 5000, cidr="fe80::/10"))
    sent = {"named": frame(5000), "other": frame(5001)}
    found = arrivals(net, "10.0.0.3", sent)
    assert found == {"named": ["10.0.0.2", FAR], "other": [FAR]}


def test_long_ones_arrive_in_pieces(net):
    members(net, *RULES, members=ALL_OF_GROUP)

    def pieces(mark):
        return udp(5999, 5000, b"x" * 2000 + mark)

    whole = pieces(b"marker:long;")
    target = "239.1.2.3"

    def piece(start, end, more):
        place = start // 8 | (0x2000 if more else 0)
        packet = ip("10.0.0.3", target, 17, whole[start:end], fragment=place)
        return ether(group_mac(target), MACS["10.0.0.3"], 0x0800, packet)

    net.guests[2].send(
        piece(0, 1480, more=True), piece(1480, 4000, more=False)
    )
    arrivals(net, "10.0.0.3", {})
    assert "long" in net.guests[1].seen
    assert "long" not in net.guests[3].seen
