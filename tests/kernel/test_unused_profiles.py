"""What stays of a profile that no guest has any more."""

import subprocess
from dataclasses import dataclass

import pytest
from rules import RULES, applied
from test_new_groups import STANDING, grouped

from flatnet.apply.filter.iptables import ipset
from flatnet.apply.filter.iptables.firewall import apply_firewall
from flatnet.apply.filter.iptables.ipset_cache import Sets
from flatnet.apply.filter.iptables.rendering import Rendering
from flatnet.apply.filter.iptables.revoked_access import filtered_addresses
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.changes import Changes
from flatnet.state.effects import Surface, Verb
from flatnet.state.rows import SecurityRule
from tests.effects import chain

DIGITS = "2c624232cdd2"
OF_8 = f"flatnet-p-{DIGITS}"
WITH_8 = {**STANDING, 6: (8,)}
OTHER_RULES = {
    8: (
        SecurityRule(8, "tcp", 8080, 8080, "0.0.0.0/0"),
        SecurityRule(9, "tcp", 8080, 8080, "::/0"),
    )
}
HERE, GONE = grouped(WITH_8), grouped(STANDING)
# What stays is collected here.
COLLECT = "collect"


@dataclass(frozen=True)
class Step:
    """What a plan changed; the rules by then and who the sets led to 8.

    `between` is the same before sets came to have anybody.
    """

    changes: Changes
    rules: tuple[str, ...]
    led: frozenset[bytes]
    between: tuple[tuple[str, ...], frozenset[bytes]]

    @property
    def surfaces(self):
        return {each.surface for each in self.changes.made}


def lived(namespace, *steps, most=2):
    """Have one process apply these plans; return what came of each."""

    def live():
        known = WorkerCache(rendering=Rendering(most))
        found = []
        for each in steps:
            if each == COLLECT:
                known.rendering.collect()
                continue
            seen = []
            changes = apply_firewall(
                each, known, between=lambda seen=seen: seen.append(shown())
            )
            assert changes.failures == ()
            found.append(Step(changes, *shown(), seen[0]))
        return found

    return namespace.call(live)


def shown():
    rules = [
        line
        for program in ("iptables-save", "ip6tables-save")
        for line in subprocess.run(
            [program, "-t", "filter"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        if line.startswith("-A ")
    ]
    led = (
        each.members
        for name, each in ipset.read_sets(Sets().asking).items()
        if name.endswith(DIGITS)
    )
    return tuple(rules), frozenset().union(*led)


def test_who_was_the_last_leaves_rules_and_empty_sets(namespace):
    first, then = lived(namespace, HERE, GONE)
    assert then.surfaces == {Surface.IPSET}
    assert then.changes.judged == frozenset()
    assert then.rules == first.rules
    assert first.led
    assert not then.led


def test_he_is_led_nowhere_before_anybody_else_is_let_in(namespace):
    _, then = lived(namespace, HERE, grouped({**STANDING, 7: (9,)}))
    assert then.between[1] == frozenset()


def test_it_goes_when_all_that_stays_is_collected(namespace):
    *_, last = lived(namespace, HERE, GONE, COLLECT, GONE)
    assert chain(Verb.REMOVED, OF_8) in last.changes.made
    assert last.changes.judged == filtered_addresses(GONE)
    assert applied(namespace, GONE) == ()


def test_so_it_does_where_too_many_stay(namespace):
    """It is a profile of either family."""
    lived(namespace, HERE, GONE, GONE)
    assert applied(namespace, GONE) == ()


@pytest.mark.parametrize("last", [GONE, grouped({1: ()})])
def test_whoever_does_not_know_of_it_removes_it(namespace, last):
    lived(namespace, HERE, last, most=100)
    assert chain(Verb.REMOVED, OF_8) in applied(namespace, last)
    assert applied(namespace, last) == ()


def test_who_comes_back_meets_what_stayed(namespace):
    *_, last = lived(namespace, HERE, GONE, HERE, most=100)
    assert last.surfaces == {Surface.IPSET}
    assert applied(namespace, HERE) == ()


def test_what_its_rules_are_by_then_comes_before_he_is_let_in(namespace):
    back = grouped(WITH_8, OTHER_RULES)
    first, *_, last = lived(namespace, HERE, GONE, back, most=100)
    rules, led = last.between
    assert not led
    assert rules == last.rules != first.rules
    assert "--dport 8080" in str(rules)
    assert applied(namespace, back) == ()


def test_a_group_whose_rules_went_lets_nothing_in(namespace):
    without = grouped(WITH_8, {8: ()})
    back = grouped(WITH_8, {8: RULES})
    _, then, last = lived(namespace, HERE, without, back, most=100)
    assert not any(each.startswith("-A flatnet-g-8 ") for each in then.rules)
    assert last.led
    assert applied(namespace, back) == ()


def test_no_filtered_guest_leaves_nothing(namespace):
    nobody = grouped({})
    _, last = lived(namespace, HERE, nobody, most=100)
    assert not any(OF_8 in each for each in last.rules)
    assert applied(namespace, nobody) == ()
