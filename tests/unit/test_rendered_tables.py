"""A table in which nothing is another is the same object as before."""

import dataclasses

from flatnet.apply.filter.iptables.rendering import Rendering
from flatnet.state.rows import SecurityGroup, SecurityRule
from tests.builders import interface, network, settings, snapshot
from tests.planned import filter_plan


def filter_of(*cidrs):
    """The filter of a guest whose group lets these networks in."""
    rules = tuple(
        SecurityRule(number, "tcp", 22, 22, cidr)
        for number, cidr in enumerate(cidrs, start=1)
    )
    rows = snapshot(
        networks=(network(),),
        interfaces=(interface(1, security_group_ids=(1,)),),
        security_groups=(SecurityGroup(1, "web", rules),),
    )
    return filter_plan(rows, settings(allow_same_net_traffic=False))[0]


def test_a_rule_makes_one_table_anew():
    rendering = Rendering()
    before = rendering.rules(filter_of("192.0.2.0/24")).tables
    after = rendering.rules(
        filter_of("192.0.2.0/24", "198.51.100.0/24")
    ).tables
    others = [
        (new.family, new.name)
        for old, new in zip(before, after, strict=True)
        if old is not new
    ]
    assert others == [(4, "filter")]
    assert len(before) > 1


def test_a_table_that_comes_is_among_them():
    rendering = Rendering()
    plan = filter_of("192.0.2.0/24")
    none = rendering.rules(
        dataclasses.replace(plan, guests=(), networks=(), gateways=())
    )
    came = rendering.rules(plan)
    assert {each.family for each in came.tables} == {4, 6}
    assert came.tables == Rendering().rules(plan).tables
    assert len(none.tables) < len(came.tables)
