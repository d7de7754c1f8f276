"""That what is presumed of a table after a write is what is read then."""

import subprocess
from typing import Any

import pytest
from rules import RULES, applied
from test_new_groups import STANDING, grouped

from flatnet.apply.filter.iptables.firewall import apply_firewall
from flatnet.apply.filter.iptables.iptables import edits
from flatnet.apply.filter.iptables.kernel_tables import NFT_FAMILIES
from flatnet.apply.filter.iptables.placement import Placement
from flatnet.apply.filter.iptables.rendering import Rendering
from flatnet.apply.filter.iptables.saved import (
    confirm,
    read_tables,
    tables_key,
)
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.rows import SecurityRule

MORE_RULES = (*RULES, SecurityRule(7, "tcp", 8080, 8080, "0.0.0.0/0"))
PLANS = {
    "a group more": grouped({**STANDING, 6: (8,)}),
    "a rule at the end": grouped(STANDING, {1: MORE_RULES}),
    "a rule less": grouped(STANDING, {1: RULES[1:]}),
    "a rule first": grouped(STANDING, {1: MORE_RULES[::-1]}),
    "no rules": grouped(STANDING, {1: ()}),
    "a group less": grouped({1: (1,), 2: (2,)}),
    "two of another": grouped({**STANDING, 6: (1, 2), 7: (8, 9)}),
}


def lived(namespace, *steps):
    """Apply plans, and do what is between them, as one process that has read
    all before the last one.
    """

    def live():
        known = WorkerCache(rendering=Rendering())
        for step in steps:
            known.presumed.clear()
            if callable(step):
                step()
                continue
            for family in NFT_FAMILIES:
                known.proven.read(
                    tables_key(family),
                    lambda family=family: read_tables(family),
                )
            assert apply_firewall(step, known).failures == ()
        return {
            family: (
                known.proven.last(tables_key(family)),
                read_tables(family),
            )
            for family in known.presumed
        }

    return namespace.call(live)


@pytest.mark.parametrize("name", PLANS)
def test_it_is_what_is_read(namespace, name):
    found = lived(namespace, grouped(STANDING), PLANS[name])
    assert 4 in found
    for presumed, read in found.values():
        assert presumed == read
    assert applied(namespace, PLANS[name]) == ()


@pytest.mark.parametrize("name", PLANS)
def test_so_it_is_on_the_way_back(namespace, name):
    plan = grouped(STANDING)
    found = lived(namespace, plan, PLANS[name], plan)
    assert found
    for presumed, read in found.values():
        assert presumed == read
    assert applied(namespace, plan) == ()


def test_nothing_is_where_jumps_moved(namespace):
    def deleted():
        did("iptables -D FORWARD 1")

    plan = grouped(STANDING)
    assert not lived(namespace, plan)
    assert not lived(namespace, plan, deleted, plan)


def test_nothing_is_where_somebody_leads_to_what_goes(namespace):
    def led():
        did("iptables -N theirs")
        did("iptables -A theirs -j flatnet-g-5")

    found = lived(namespace, grouped(STANDING), led, PLANS["a group less"])
    assert 4 not in found


def test_it_is_read_once_more_whatever_it_was(namespace):
    """It is read once more, whatever was presumed."""

    def live():
        known, plan = WorkerCache(), PLANS["a group more"]
        for each in (grouped(STANDING), grouped(STANDING), plan):
            assert apply_firewall(each, known).failures == ()
        assert known.presumed == {4, 6}
        key = tables_key(4)
        saved: Any = known.proven.last(key)
        saved.tables["filter"].texts["flatnet-g-8"].pop()
        assert apply_firewall(plan, known).made == ()
        confirm(known.proven, known.presumed)
        assert not known.presumed
        assert known.proven.last(key) is not saved
        return apply_firewall(plan, known).made

    # What is read is as planned: it was our memory alone that was not.
    assert namespace.call(live) == ()


def test_what_is_as_presumed_is_the_same_object(namespace):
    def live():
        known, plan = WorkerCache(), PLANS["a group more"]
        for each in (grouped(STANDING), grouped(STANDING), plan):
            assert apply_firewall(each, known).failures == ()
        before = {n: known.proven.last(tables_key(n)) for n in (4, 6)}
        confirm(known.proven, known.presumed)
        after = {n: known.proven.last(tables_key(n)) for n in (4, 6)}
        return all(before[n] is after[n] for n in (4, 6))

    assert namespace.call(live)


def test_one_way_more_takes_nothing_away(namespace):
    """What stands in a chain of the tree stays, with its counters."""

    def live():
        known = WorkerCache()
        for each in (grouped(STANDING), grouped(STANDING)):
            assert apply_firewall(each, known).failures == ()
        text = edits(
            read_tables(4).tables["filter"],
            next(
                t
                for t in known.rendering.rules(PLANS["a group more"]).tables
                if (t.family, t.name) == (4, "filter")
            ),
            Placement(),
        ).text
        return [
            line
            for line in text.splitlines()
            if " flatnet-tree " in line or line.startswith(":flatnet-tree")
        ]

    (line,) = namespace.call(live)
    assert line.startswith("-I flatnet-tree 1 ")


def did(words):
    subprocess.run(words.split(), check=True, timeout=60)
