"""What is known to be settled changes nothing of what is done."""

import random

import pytest
from rules import RULES, applied
from test_new_groups import STANDING, addresses, grouped
from tree_edits import MEDDLING, OF_PORTS, did

from flatnet.apply.filter.iptables.compared_tables import ComparedTables
from flatnet.apply.filter.iptables.firewall import apply_firewall
from flatnet.apply.filter.iptables.kernel_tables import NFT_FAMILIES
from flatnet.apply.filter.iptables.rendering import Rendering
from flatnet.apply.filter.iptables.saved import confirm, read_back
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.effects import Verb
from flatnet.state.rows import SecurityRule
from tests.effects import chain

MORE_RULES = (*RULES, SecurityRule(7, "tcp", 8080, 8080, "0.0.0.0/0"))
STOOD = grouped(STANDING)
PLANS = {
    "stood": STOOD,
    "a group more": grouped({**STANDING, 6: (8,)}),
    "two more": grouped({**STANDING, 6: (8,), 7: (12, 18)}),
    "of groups that stand": grouped({**STANDING, 6: (1, 2)}),
    "a group less": grouped({1: (1,), 2: (2,), 3: (3,)}),
    "more rules": grouped({**STANDING, 6: (8,)}, {1: MORE_RULES}),
    "other rules": grouped({**STANDING, 6: (8,)}, {1: MORE_RULES[::-1]}),
    "no rules": grouped(STANDING, {2: ()}),
    "other members": grouped(STANDING, members=("10.0.0.10",)),
    "nobody": grouped({}),
}
CHAINS = ("flatnet-tree", "flatnet-p-4", "flatnet-g-1", "flatnet-g-3")


def edit(how, command, name):
    """A step: somebody edits a chain."""
    return lambda: {**MEDDLING, **OF_PORTS}[how](command, name)


def jump_away():
    did("iptables -D FORWARD 1")


class Unsettled(ComparedTables):
    """Knows nothing, so that all is compared each time."""

    def has(self, compared):
        return False

    def rest(self, compared):
        existing, table, _ = compared
        return existing, table


def lived(namespace, settled, steps, *, departed, is_read):
    """Apply plans, and do what is between; return what was done and whom it
    had judged.

    :param departed: so many profiles stay
    :param is_read: what was written is read before the next step
    """

    def live():
        known = WorkerCache(rendering=Rendering(departed), settled=settled)
        found = []
        for step in steps:
            if callable(step):
                step()
                continue
            # As a worker that hears what others write to sets.
            known.sets.forget()
            changes = apply_firewall(step, known)
            assert changes.failures == ()
            found.append((changes.made, changes.judged))
            read_back(known.proven, known.unread)
            if is_read:
                confirm(known.proven, known.presumed)
        return found

    return namespace.call(live)


def check(namespaces, steps, *, departed, is_read):
    """Have two hosts live the same, one of which knows nothing."""
    one, other = namespaces(), namespaces()
    options = {"departed": departed, "is_read": is_read}
    found = lived(one, ComparedTables(), steps, **options)
    assert found == lived(other, Unsettled(), steps, **options)
    # Where profiles stay there is more than the plan has.
    assert departed or applied(one, steps[-1]) == ()
    return found


NEW = PLANS["a group more"]
WALKS = {
    "groups come": (STOOD, NEW, PLANS["two more"]),
    "a group leaves and is back": (NEW, STOOD, NEW, STOOD, NEW),
    "one comes as another leaves": (PLANS["a group less"], NEW, NEW),
    "a profile of groups that stand": (
        NEW,
        STOOD,
        PLANS["of groups that stand"],
    ),
    "rules come and go": (NEW, PLANS["more rules"], PLANS["other rules"], NEW),
    "a group lets nothing in": (STOOD, PLANS["no rules"], STOOD),
    "edited, and planned otherwise": (
        *(STOOD, NEW, edit("of more ports", "iptables", "flatnet-g-1")),
        PLANS["more rules"],
    ),
    "edited where another comes": (
        *(STOOD, NEW, edit("first deleted", "iptables", "flatnet-g-3")),
        PLANS["two more"],
    ),
    "a way that was taken away, and a new one": (
        *(STOOD, STOOD, edit("first deleted", "iptables", "flatnet-p-4")),
        NEW,
    ),
    "emptied, gone and back": (
        *(NEW, STOOD, edit("emptied", "iptables", "flatnet-g-3")),
        *(PLANS["a group less"], NEW),
    ),
    "a jump that is gone": (STOOD, NEW, jump_away, PLANS["two more"], NEW),
    "nobody, and all again": (NEW, PLANS["nobody"], STOOD, NEW),
}


@pytest.mark.parametrize("is_read", [False, True])
@pytest.mark.parametrize("departed", [0, 128])
@pytest.mark.parametrize("name", WALKS)
def test_it_is_done_as_if_all_were_compared(
    namespaces, name, departed, is_read
):
    check(namespaces, WALKS[name], departed=departed, is_read=is_read)


@pytest.mark.parametrize("seed", range(4))
def test_so_it_is_whatever_comes(namespaces, seed):
    chance, steps = random.Random(seed), [STOOD]
    for _ in range(30):
        steps.append(chance.choice(list(PLANS.values())))
        if steps[-1] is not PLANS["nobody"] and not chance.randrange(3):
            how = chance.choice(["emptied", "repeated", "opened first"])
            command = chance.choice(["iptables", "ip6tables"])
            steps.append(edit(how, command, chance.choice(CHAINS[:3])))
    steps.append(STOOD)
    check(namespaces, steps, departed=seed % 2 * 3, is_read=seed < 2)


def test_what_somebody_edited_is_found_where_another_group_comes(namespaces):
    """Also in a chain that is as it was by all plans."""
    steps = WALKS["edited where another comes"]
    *_, (made, judged) = check(namespaces, steps, departed=0, is_read=True)
    assert chain(Verb.WRITTEN, "flatnet-g-3") in made
    assert addresses(steps[-1], 3) <= judged


def test_of_a_group_that_comes_its_own_chains_are_compared(namespace):
    """And those above it, but none of other groups."""

    class Told(ComparedTables):
        def rest(self, compared):
            found = super().rest(compared)
            seen.append({each.name for each in found[1].chains})
            return found

    seen: list[set[str]] = []

    def compared():
        known = WorkerCache(settled=Told())
        for plan in (STOOD, STOOD, NEW):
            seen.clear()
            assert apply_firewall(plan, known).failures == ()
            read_back(known.proven, known.unread)
            confirm(known.proven, known.presumed)
        return seen

    found = namespace.call(compared)
    assert len(found) == len(NFT_FAMILIES)
    for names in found:
        assert "flatnet-g-8" in names
        assert names.isdisjoint(f"flatnet-g-{n}" for n in range(1, 6))
