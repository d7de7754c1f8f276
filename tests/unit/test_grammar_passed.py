"""What passed a check once is not checked again; what is odd, always."""

from dataclasses import replace

import pytest

from flatnet.apply.grammar.instances import Passed
from flatnet.apply.grammar.plan import checked
from flatnet.exceptions import HostSetupError
from tests.builders import interface, settings, snapshot
from tests.planned import host_plan

ROWS = snapshot(interfaces=(interface(1), interface(2)))
PLAN = host_plan(ROWS, settings(allow_same_net_traffic=False))


class Check:
    """Remembers what it was asked, and refuses what it is told to."""

    def __init__(self, *refused):
        self.asked, self._refused = [], refused

    def __call__(self, part):
        self.asked.append(part)
        if part in self._refused:
            raise ValueError("odd")


def test_the_same_part_is_not_checked_twice():
    check, passed = Check(), Passed()
    for _ in range(3):
        passed.begin()
        assert passed.failing(PLAN.filter.guests, check) == []
    assert check.asked == [*PLAN.filter.guests]


def test_what_comes_anywhere_is_checked_alone():
    check, passed = Check(), Passed()
    (first, last), parts = PLAN.filter.guests, []
    for new in (0, 1, 2):
        comes = replace(first, uuid=str(new))
        parts.insert(new, comes)
        passed.begin()
        passed.failing((*parts[:1], first, *parts[1:], last), check)
        assert check.asked.count(comes) == 1
    assert len(check.asked) == 5


def test_what_passed_one_check_has_passed_no_other():
    check, other, passed = Check(), Check(), Passed()
    passed.failing((PLAN,), check)
    passed.failing((PLAN,), other)
    assert check.asked == other.asked == [PLAN]


def test_parts_of_several_bridges_pass_the_same_check():
    check, passed = Check(), Passed()
    first, last = PLAN.filter.guests
    for _ in range(3):
        passed.begin()
        for parts in ((first,), (last,)):
            passed.failing(parts, check)
    assert check.asked == [first, last]


def test_an_equal_part_that_is_another_is_checked():
    check, passed = Check(), Passed()
    another = replace(PLAN)
    passed.failing((PLAN,), check)
    passed.begin()
    passed.failing((another,), check)
    assert list(map(id, check.asked)) == [id(PLAN), id(another)]


def test_what_fails_is_checked_each_time_and_the_others_once():
    first, last = PLAN.filter.guests
    check, passed = Check(last), Passed()
    for _ in range(3):
        passed.begin()
        ((part, error),) = passed.failing((first, last), check)
        assert part is last
        assert str(error) == "odd"
    assert check.asked == [first, last, last, last]


def test_what_left_plans_is_let_go_once_it_is_the_most():
    check, passed = Check(), Passed()
    stays = PLAN.filter.guests
    for number in range(3000):
        passed.begin()
        parts = *stays, replace(stays[0], uuid=str(number))
        assert passed.failing(parts, check) == []
    held = sum(map(len, passed._held.values()))
    assert 0 < held < 1500
    # They were never out of a plan.
    assert len(check.asked) == 3002


def test_a_plan_that_is_the_same_is_not_gone_through():
    passed = Passed()
    first = checked(PLAN, passed)
    assert checked(PLAN, passed) is first
    assert checked(replace(PLAN), passed) is not first


def test_a_plan_that_was_refused_is_refused_again():
    passed, refused = Passed(), replace(PLAN, host="\n")
    for _ in range(2):
        with pytest.raises(HostSetupError):
            checked(refused, passed)


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
