"""Who suffers from what failed, and who may be open by it."""

from flatnet.apply.affected_instances import (
    affected,
    guarded,
    named,
    perhaps_open,
)
from flatnet.state.changes import (
    HOST,
    Changes,
    Failure,
    group_key,
    network_key,
)
from flatnet.state.effects import Subject, Surface
from tests.builders import interface, settings, snapshot
from tests.effects import DHCP, port
from tests.planned import host_plan

ROWS = snapshot(interfaces=(interface(1), interface(2)))
PLAN = host_plan(ROWS, settings())
ONE, TWO = (each.instance_uuid for each in ROWS.interfaces)
RULES, NAT = (
    Subject(Surface.FIREWALL, ("iptables", table))
    for table in ("filter", "nat")
)


def failed(*failures):
    return Changes(failures=failures)


def test_what_is_of_the_host_concerns_all_and_is_told_once():
    changes = failed(Failure(RULES, "refused", key=HOST))
    assert affected(changes, PLAN) == {ONE, TWO}
    assert perhaps_open(changes, PLAN) == {ONE, TWO}
    assert named(changes, PLAN) == changes


def test_what_is_of_a_group_opens_none_of_its_members():
    changes = failed(Failure(RULES, "refused", (ONE,), group_key(7)))
    assert affected(changes, PLAN) == {ONE}
    assert perhaps_open(changes, PLAN) == frozenset()
    both = failed(*changes.failures, Failure(port("tap1"), "busy", (ONE,)))
    assert perhaps_open(both, PLAN) == {ONE}


def test_a_server_of_no_planned_bridge_is_nobodys():
    other = Failure(Subject(Surface.DHCP, "br7"), "it does not end")
    assert named(failed(other), PLAN).failures == (other,)


def test_an_unforeseen_error_is_one_failure_of_the_host():
    def dies():
        raise ValueError("two\n lines")

    (only,) = guarded(Surface.GUARD, dies).failures
    assert only == Failure(Subject(Surface.GUARD), "two lines", key=HOST)


def test_who_lacks_what_nobody_owns_is_named_at_the_end():
    translation = Failure(NAT, "refused")
    leftover = Failure(Subject(Surface.IPSET, "flatnet-old"), "in use")
    changes = failed(translation, Failure(DHCP, "no dnsmasq"), leftover)
    assert affected(changes, PLAN) == frozenset()
    rules, dhcp, kept = named(changes, PLAN).failures
    assert (rules.key, rules.instances) == (HOST, ())
    assert (dhcp.key, dhcp.instances) == (network_key(1), (ONE, TWO))
    assert kept == leftover
