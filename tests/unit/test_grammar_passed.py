"""What passed a check once is not checked again; what is odd, always."""

from dataclasses import replace

from flatnet.apply.grammar.instances import Passed
from flatnet.apply.grammar.plan import checked
from tests.builders import interface, settings, snapshot
from tests.planned import host_plan

ROWS = snapshot(interfaces=(interface(1), interface(2)))
PLAN = host_plan(ROWS, settings(allow_same_net_traffic=False))


def test_the_same_part_is_not_checked_twice():
    calls, passed = [], Passed()
    parts = PLAN.filter.guests
    for _ in range(3):
        passed.begin()
        for part in passed.others(parts, "check"):
            calls.append(part)
            passed.note(part, "check")
    assert calls == list(parts)


def test_what_left_the_plan_is_checked_when_it_comes_back():
    passed = Passed()
    passed.begin()
    passed.note(PLAN, "check")
    assert passed.others((PLAN,), "another check") == [PLAN]
    passed.begin()
    passed.begin()
    assert passed.others((PLAN,), "check") == [PLAN]


def test_an_equal_part_that_is_another_is_checked():
    passed = Passed()
    passed.begin()
    passed.note(PLAN, "check")
    assert passed.others((replace(PLAN),), "check") == [PLAN]


def test_an_odd_part_fails_in_each_pass():
    (bridge,) = PLAN.bridges
    odd = replace(bridge.ports[0], mac="not a mac")
    bridge = replace(bridge, ports=(odd, bridge.ports[1]))
    wanted, passed = replace(PLAN, bridges=(bridge,)), Passed()
    first, second = (checked(wanted, passed) for _ in range(2))
    assert first == second
    (failure,) = first[1]
    assert failure.instances == (odd.instance_uuid,)
    found, failures = checked(PLAN, passed)
    assert (found, failures) == (PLAN, ())
