"""Edits of the guard's rules that keep our comment."""

import re

import guarded
import pytest
from forced import ALL
from guarded import guard
from test_watch import applier, output

from flatnet.apply.filter.guard.guard import (
    FAMILIES,
    TABLE,
    Guarding,
    apply_guard,
)
from flatnet.apply.filter.guard.in_force import unguarded
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.host import (
    HostPaths,
    Task,
    Tools,
    apply_task,
)
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.effects import Effect, Surface, Verb
from tests.waiting import eventually

EDITS = (
    ("bridge", "forward", "drop", "accept"),
    ("bridge", "prerouting", "drop", "counter drop"),
    ("inet", "prerouting", "drop", "accept"),
    ("arp", "input", "drop", "counter drop"),
)


@pytest.fixture
def site(namespaces):
    return guarded.site(namespaces)


def unowned(namespace):
    """Have tables that anybody may change, as on older kernels."""
    for family in FAMILIES:
        namespace.run(f"nft add table {family} {TABLE}")


def edit(family, chain, verdict, other):
    """Put another rule in the place of one, with its comment."""
    table = f"{family} {TABLE}"
    lines = output(f"nft -a list chain {table} {chain}").splitlines()
    line = next(each for each in lines if f" {verdict} comment" in each)
    _, mark, number = re.split('comment "|" # handle ', line.strip())
    rule = f'{chain} handle {number} {other} comment "{mark}"'
    output(f"nft replace rule {table} {rule}")


@pytest.mark.parametrize("how", EDITS)
def test_who_wrote_the_rules_finds_an_edit(site, how):
    unowned(site.host)

    def steps():
        with Session() as session:
            guarding, made = Guarding(), []
            for _ in range(3):
                made.append(apply_guard(session, guarding, guard()).made)
                before = rules()
                edit(*how)
                assert rules() != before
            made.append(apply_guard(session, guarding, guard()).made)
            assert rules() == before
            made.append(apply_guard(session, guarding, guard()).made)
        return made

    first, *mended, last = site.host.call(steps)
    assert len(first) == len(FAMILIES)
    assert (
        mended
        == [(Effect(Surface.GUARD, Verb.MADE, f"table {how[0]} flatnet"),)] * 3
    )
    assert last == ()


def test_who_is_guarded_by_an_edited_rule_counts_as_open(namespace, tmp_path):
    unowned(namespace)

    def steps():
        with Session() as session:
            known = WorkerCache(session.proven)
            tools = Tools(HostPaths(str(tmp_path)), session, known)
            assert apply_task(Task(ALL), tools).changes.failures == ()
            before = unguarded(ALL, session, known.guarding)
            edit(*EDITS[0])
            return before, unguarded(ALL, session, known.guarding)

    before, after = namespace.call(steps)
    assert before == frozenset()
    assert after == frozenset(ALL.instances)


def rules():
    text = output("nft list ruleset")
    return [line for line in text.splitlines() if "comment" in line]


def test_an_edit_is_noticed_at_once(namespace, tmp_path):
    unowned(namespace)
    log = tmp_path / "log"

    def edited():
        with applier(tmp_path, log) as serving:
            before = rules()
            edit(*EDITS[0])
            eventually(lambda: "mended: guard" in log.read_text())
            eventually(lambda: rules() == before)
            assert serving.wait_for_event()

    namespace.call(edited)
    assert "changed rules of flatnet" in log.read_text()
