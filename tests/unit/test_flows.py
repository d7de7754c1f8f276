"""Which tracked connections the rules of an instance still allow."""

import pytest

from flatnet.apply.filter.connections.flows import Flow, Judge
from flatnet.state.filtering import Filter, Group, Guest, Members, Opening
from flatnet.state.rows import SecurityGroup, SecurityRule
from flatnet.state.sliced_collections import SlicedSet
from tests.builders import interface, network, settings, snapshot
from tests.planned import filter_plan, in_groups

TCP = Flow(
    *(4, 6, "10.0.0.3", "10.0.0.2", "10.0.0.2", "10.0.0.3"),
    *(4000, 22, 22, 4000),
)
DNAT = Flow(
    *(4, 17, "192.0.2.9", "192.0.2.1", "10.0.0.2", "192.0.2.9"),
    *(4000, 5353, 53, 4000),
)
PING = Flow(
    *(4, 1, "10.0.0.3", "10.0.0.2", "10.0.0.2", "10.0.0.3"),
    icmp_type=8,
    icmp_code=0,
    icmp_id=7,
)
GRE = Flow(
    *(4, 47, "10.0.0.3", "10.0.0.2", "10.0.0.2", "10.0.0.3"),
    *(0, 0, 0, 0),
)
BEGUN = Flow(
    *(4, 6, "10.0.0.2", "192.0.2.9", "192.0.2.9", "192.0.2.1"),
    *(4000, 22, 22, 4000),
)
GUEST = Guest("1", "1", "br100", ("10.0.0.2",), filtered=True, groups=(1,))
ADDRESSES = frozenset({"10.0.0.2"})


def forbidden(flow, *openings):
    wanted = Filter(
        same_network=False,
        guests=(GUEST,),
        groups=(Group(1, openings),),
        members=(Members(7, SlicedSet({"10.0.0.3"})),),
    )
    assert not Judge(wanted, frozenset()).forbids(flow)
    return Judge(wanted, ADDRESSES).forbids(flow)


@pytest.mark.parametrize("flow", [TCP, DNAT, PING, GRE])
def test_nothing_is_allowed_without_a_rule_and_all_by_the_widest(flow):
    assert forbidden(flow)
    assert not forbidden(flow, Opening(4))


def test_what_the_instance_began_is_not_judged():
    assert not forbidden(BEGUN)


@pytest.mark.parametrize(
    ("flow", "opening", "forbids"),
    [
        (TCP, Opening(4, protocol=6), False),
        (TCP, Opening(4, protocol=17), True),
        (TCP, Opening(4, protocol=6, first=22, last=22), False),
        (TCP, Opening(4, protocol=6, first=1, last=21), True),
        (TCP, Opening(4, source="10.0.0.0/30"), False),
        (TCP, Opening(4, source="10.0.0.4/30"), True),
        (TCP, Opening(6, source="::/0"), True),
        (TCP, Opening(4, group=7), False),
        (TCP, Opening(4, group=8), True),
        (DNAT, Opening(4, protocol=17, first=53, last=53), False),
        (DNAT, Opening(4, protocol=17, first=5353, last=5353), True),
        (DNAT, Opening(4, group=7), True),
        (PING, Opening(4, protocol=1, first=8), False),
        (PING, Opening(4, protocol=1, first=8, last=0), False),
        (PING, Opening(4, protocol=1, first=8, last=1), True),
        (PING, Opening(4, protocol=1, first=13), True),
        (GRE, Opening(4, protocol=47), False),
    ],
)
def test_one_rule(flow, opening, forbids):
    assert forbidden(flow, opening) == forbids


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
        members=in_groups({7: ("10.0.0.9",)}),
    )
    wanted, (line,) = filter_plan(rows, settings())
    assert "rule 8 of group 1" in line
    assert wanted.groups == (
        Group(
            1,
            (
                Opening(4, protocol=6, first=22, last=22),
                Opening(4, group=7, protocol=17, first=53, last=60),
                Opening(4, "10.0.0.0/8", protocol=1, first=8, last=0),
                Opening(4, protocol=1, first=3),
                Opening(4, "192.0.2.1/32", protocol=47),
                Opening(4),
                Opening(6, protocol=58, first=128, last=0),
                Opening(4, "10.0.0.0/8", protocol=132, first=7, last=9),
            ),
        ),
    )
    assert wanted.members == (Members(7, SlicedSet({"10.0.0.9"})),)


def test_the_same_network_is_let_in_where_it_may():
    def judged(flow, **options):
        rows = snapshot(
            networks=(network(cidr_v6="2001:db8::/64"),),
            interfaces=(interface(1, security_group_ids=(1,)),),
            security_groups=(SecurityGroup(1, "web", ()),),
        )
        wanted, _ = filter_plan(rows, settings(**options))
        return Judge(wanted, frozenset({flow.target})).forbids(flow)

    for flow in (TCP, GRE):
        assert not judged(flow)
        assert judged(flow, allow_same_net_traffic=False)
    assert judged(DNAT)
    mine = "2001:db8::f816:3eff:fe00:1"
    for source, forbids in (
        ("fe80::1", False),
        ("2001:db8::9", False),
        ("2001:db9::9", True),
    ):
        flow = Flow(6, 6, source, mine, mine, source, 4, 22, 22, 4)
        assert judged(flow) is forbids


def test_who_is_not_filtered_is_not_judged():
    rows = snapshot(interfaces=(interface(1),))
    for options, forbids in (
        ({}, False),
        ({"allow_same_net_traffic": False}, True),
    ):
        wanted, _ = filter_plan(rows, settings(**options))
        assert Judge(wanted, ADDRESSES).forbids(TCP) is forbids
