"""Which tracked connections the rules of an instance still allow."""

import pytest

from flatnet.apply.flows import Judge, parsed
from flatnet.plan.flows import filtered_addresses
from flatnet.rows import SecurityGroup, SecurityRule
from flatnet.state import AddressSet, FilteredAddress, Opening
from tests.builders import interface, settings, snapshot

TCP = (
    "ipv4 2 tcp 6 431999 ESTABLISHED src=10.0.0.3 dst=10.0.0.2 sport=4000 "
    "dport=22 src=10.0.0.2 dst=10.0.0.3 sport=22 dport=4000 [ASSURED] mark=0 "
    "use=1"
)
DNAT = (
    "ipv4 2 udp 17 29 src=192.0.2.9 dst=192.0.2.1 sport=4000 dport=5353 "
    "[UNREPLIED] src=10.0.0.2 dst=192.0.2.9 sport=53 dport=4000 mark=0 use=1"
)
PING = (
    "ipv4 2 icmp 1 29 src=10.0.0.3 dst=10.0.0.2 type=8 code=0 id=7 "
    "src=10.0.0.2 dst=10.0.0.3 type=0 code=0 id=7 mark=0 use=1"
)
GRE = (
    "ipv4 2 gre 47 29 src=10.0.0.3 dst=10.0.0.2 srckey=0x0 dstkey=0x0 "
    "[UNREPLIED] src=10.0.0.2 dst=10.0.0.3 srckey=0x0 dstkey=0x0 use=1"
)
BEGUN = (
    "ipv4 2 tcp 6 431999 ESTABLISHED src=10.0.0.2 dst=192.0.2.9 sport=4000 "
    "dport=22 src=192.0.2.9 dst=192.0.2.1 sport=22 dport=4000 [ASSURED] use=1"
)
SETS = (AddressSet("flatnet-g4-7", 4, ("10.0.0.3",)),)


def forbidden(line, *openings):
    judge = Judge((FilteredAddress("10.0.0.2", openings),), SETS)
    (flow,) = parsed(line)
    return judge.forbids(flow)


@pytest.mark.parametrize("line", [TCP, DNAT, PING, GRE])
def test_nothing_is_allowed_without_a_rule_and_all_by_the_widest(line):
    assert forbidden(line)
    assert not forbidden(line, Opening())


def test_what_the_instance_began_is_not_judged():
    assert not forbidden(BEGUN)


@pytest.mark.parametrize(
    ("line", "opening", "forbids"),
    [
        (TCP, Opening(protocol=6), False),
        (TCP, Opening(protocol=17), True),
        (TCP, Opening(protocol=6, first=22, last=22), False),
        (TCP, Opening(protocol=6, first=1, last=21), True),
        (TCP, Opening(source="10.0.0.0/30"), False),
        (TCP, Opening(source="10.0.0.4/30"), True),
        (TCP, Opening(source="::/0"), True),
        (TCP, Opening(address_set="flatnet-g4-7"), False),
        (TCP, Opening(address_set="flatnet-g4-8"), True),
        (DNAT, Opening(protocol=17, first=53, last=53), False),
        (DNAT, Opening(protocol=17, first=5353, last=5353), True),
        (DNAT, Opening(address_set="flatnet-g4-7"), True),
        (PING, Opening(protocol=1, first=8), False),
        (PING, Opening(protocol=1, first=8, last=0), False),
        (PING, Opening(protocol=1, first=8, last=1), True),
        (PING, Opening(protocol=1, first=13), True),
        (GRE, Opening(protocol=47), False),
    ],
)
def test_one_rule(line, opening, forbids):
    assert forbidden(line, opening) == forbids


def test_openings_say_what_the_rules_say():
    rules = (
        SecurityRule(1, "tcp", 22, 22, "0.0.0.0/0"),
        SecurityRule(2, "udp", 53, 60, None, 7),
        SecurityRule(3, "icmp", 8, 0, "10.0.0.0/8"),
        SecurityRule(4, "icmp", 3, -1, "0.0.0.0/0"),
        SecurityRule(5, "47", None, None, "192.0.2.1/32"),
        SecurityRule(6, None, None, None, "0.0.0.0/0"),
        SecurityRule(7, "icmp", 128, 0, "::/0"),
        SecurityRule(8, "tcp", 9, 1, "0.0.0.0/0"),
        SecurityRule(9, "sctp", 7, 9, "10.0.0.0/8"),
    )
    rows = snapshot(
        interfaces=(interface(1, security_group_ids=(1,)), interface(2)),
        security_groups=(SecurityGroup(1, "web", rules),),
        group_members=((7, ("10.0.0.9",)),),
    )
    same_net = Opening("10.0.0.0/24")
    v4, v6 = filtered_addresses(rows, settings())
    assert v4 == FilteredAddress(
        "10.0.0.2",
        (
            same_net,
            Opening(protocol=6, first=22, last=22),
            Opening(
                address_set="flatnet-g4-7", protocol=17, first=53, last=60
            ),
            Opening("10.0.0.0/8", protocol=1, first=8, last=0),
            Opening(protocol=1, first=3),
            Opening("192.0.2.1/32", protocol=47),
            Opening(),
            Opening("10.0.0.0/8", protocol=132, first=7, last=9),
        ),
    )
    assert v6 == FilteredAddress(
        "fe80::f816:3eff:fe00:1",
        (Opening("fe80::/10"), Opening(protocol=58, first=128, last=0)),
    )


def test_who_is_not_filtered_has_no_place_here():
    rows = snapshot(interfaces=(interface(1),))
    assert filtered_addresses(rows, settings()) == ()
    closed = settings(allow_same_net_traffic=False)
    assert [each.openings for each in filtered_addresses(rows, closed)] == [
        (),
        (),
    ]
