"""Whose connections are judged when a group comes to a host that had none."""

import pytest
from edited import FAMILIES
from rules import RULES, address, applied
from segment import guest
from tree_edits import MEDDLING, OF_PORTS, did

from flatnet.apply import command
from flatnet.apply.filter.iptables.firewall import apply_firewall
from flatnet.apply.filter.iptables.revoked_access import filtered_addresses
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.effects import Verb
from flatnet.state.rows import SecurityGroup, SecurityRule
from tests.builders import settings, snapshot
from tests.effects import chain
from tests.planned import filter_plan, in_groups

# Groups whose places in the tree are 6b, 4e, 6b, 4b, 4e, 2c and d4: so the
# root and nodes of both levels lead on, at their beginning, inside and end.
COMING = (1, 3, 12, 4, 18, 8, 2)
STANDING = {number: (number,) for number in (1, 2, 3, 4, 5)}
# One more group, 2c, before all that stand.
MORE = {**STANDING, 6: (8,)}


def grouped(groups, rules=None, members=("10.0.0.9",), **options):
    """The filter of a host with guests of these groups, by number.

    `rules` are those of groups whose rules are not the usual ones.
    """
    ids = sorted({each for mine in groups.values() for each in mine})
    rows = snapshot(
        interfaces=tuple(
            guest(
                number, security_group_ids=mine, addresses=(address(number),)
            )
            for number, mine in groups.items()
        ),
        security_groups=tuple(
            SecurityGroup(each, f"g{each}", (rules or {}).get(each, RULES))
            for each in ids
        ),
        members=in_groups({7: members}),
    )
    options = {"allow_same_net_traffic": False, **options}
    return filter_plan(rows, settings(**options))[0]


def addresses(plan, *numbers):
    """All addresses of these guests."""
    mine = {address(number) for number in numbers}
    return frozenset(
        each
        for one in plan.guests
        if not mine.isdisjoint(one.addresses)
        for each in one.addresses
    )


def judged(namespace, plans, between=lambda: None):
    """Apply plans one after the other; return who is judged by the last."""

    def passes():
        known = WorkerCache()
        for plan in plans[:-1]:
            assert apply_firewall(plan, known).failures == ()
        between()
        # As a pass that begins with events of what others wrote.
        known.proven.forget()
        known.sets.forget()
        changes = apply_firewall(plans[-1], known)
        assert changes.failures == ()
        return changes.judged

    found = namespace.call(passes)
    assert applied(namespace, plans[-1]) == ()
    return found


def test_nobody_else_is_judged_for_a_group_that_comes(namespace):
    known, groups = WorkerCache(), {}
    written = set()
    for number, group in enumerate(COMING, 1):
        groups[number] = (group,)
        plan = grouped(groups)
        changes = namespace.call(apply_firewall, plan, known)
        assert changes.failures == ()
        if number > 1:
            assert changes.judged == addresses(plan, number)
            written |= set(changes.made)
        assert applied(namespace, plan) == ()
    for name in ("tree", "p-4", "p-4e", "p-6b"):
        assert chain(Verb.WRITTEN, f"flatnet-{name}") in written


def test_the_first_group_of_a_host_judges_its_own_alone(namespace):
    first = grouped({1: ()})
    plan = grouped({1: (), 2: (1,)})
    assert judged(namespace, (first, plan)) == addresses(plan, 2)


def test_several_groups_and_a_guest_of_two(namespace):
    plan = grouped({**STANDING, 6: (1, 2), 7: (8, 9)})
    found = judged(namespace, (grouped(STANDING), plan))
    assert found == addresses(plan, 6, 7)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["flatnet-tree", "flatnet-p-4"])
@pytest.mark.parametrize("how", MEDDLING)
def test_all_are_judged_where_the_tree_was_not_as_it_was_left(
    namespace, family, name, how
):
    """A group that comes hides no loss; p-4 leads on to 4b and 4e."""
    plan = grouped(MORE)

    def between():
        MEDDLING[how](FAMILIES[family], name)

    found = judged(namespace, (grouped(STANDING), plan), between)
    assert found == filtered_addresses(plan)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("flatnet-local", "opened first"),
        ("flatnet-local", "last deleted"),
        ("flatnet-FORWARD", "opened first"),
        ("FORWARD", "first deleted"),
        ("FORWARD", "opened first"),
        ("flatnet-p-4e07408562be", "emptied"),
        ("flatnet-p-4e07408562be", "opened last"),
        ("flatnet-p-4e07408562be", "let in"),
    ],
)
def test_so_they_are_where_other_chains_were_not(namespace, name, how):
    """The last ones are of a profile, which leads to its groups alone."""
    plan = grouped(MORE)

    def between():
        MEDDLING[how]("iptables", name)

    found = judged(namespace, (grouped(STANDING), plan), between)
    assert found == filtered_addresses(plan)


SCRIPT = """#!/bin/sh
[ -e {stop} ] && {meddle}
exec /usr/sbin/{command}-restore "$@"
"""


# IPv6 is written last, after which nothing else tells.
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "meddle",
    [
        # What is taken away by our write again, and nobody has read.
        "{command} -I flatnet-tree -j ACCEPT",
        # As it was before, when we come.
        "{{ {command} -A flatnet-tree -j ACCEPT;"
        " {command} -D flatnet-tree -j ACCEPT; }}",
        # The first try fails, and before the other there is more to do.
        "{{ rm {stop}; {command} -I flatnet-tree -j ACCEPT; exit 4; }}",
    ],
)
def test_all_are_judged_where_somebody_wrote_since_we_read(
    namespace, tmp_path, monkeypatch, family, meddle
):
    names = {"command": FAMILIES[family], "stop": tmp_path / "stop"}
    program = tmp_path / f"{FAMILIES[family]}-restore"
    program.write_text(SCRIPT.format(**names, meddle=meddle.format(**names)))
    program.chmod(0o755)
    monkeypatch.setattr(command, "_PATH", f"{tmp_path}:{command._PATH}")
    plan = grouped(MORE)
    plans = grouped(STANDING), plan
    found = judged(namespace, plans, names["stop"].touch)
    assert found == filtered_addresses(plan)


@pytest.mark.parametrize("backend", ["legacy"], indirect=True)
def test_all_are_judged_where_nobody_can_tell_that(namespace, backend):
    plan = grouped(MORE)
    found = judged(namespace, (grouped(STANDING), plan))
    assert found == filtered_addresses(plan)


def test_a_chain_that_no_plan_has(namespace):
    plan = grouped(MORE)

    def between():
        did("iptables -N flatnet-p-odd")
        did("iptables -A flatnet-p-odd -j ACCEPT")

    found = judged(namespace, (grouped(STANDING), plan), between)
    assert found == filtered_addresses(plan)


@pytest.mark.parametrize(
    "how",
    ["first deleted", "emptied", "moved", "opened first", "of more ports"],
)
def test_a_groups_chain_that_somebody_edited_judges_who_is_in_it(
    namespace, how
):
    plan = grouped(MORE)

    def between():
        {**MEDDLING, **OF_PORTS}[how]("iptables", "flatnet-g-3")

    found = judged(namespace, (grouped(STANDING), plan), between)
    lost = addresses(plan, 3) if how != "emptied" else frozenset()
    assert found == lost | addresses(plan, 6)


FIRST = SecurityRule(0, "icmp", 0, 0, "0.0.0.0/0")
LAST = SecurityRule(9, "udp", 99, 99, "0.0.0.0/0")
BOTH = {1: (1,), 2: (1,), 3: (3,), 4: (3, 4)}
NEW = {5: (8,)}


@pytest.mark.parametrize(
    ("rest", "options", "who"),
    [
        # A rule is revoked, all are.
        (BOTH, {"rules": {1: RULES[1:]}}, (1, 2, 5)),
        (BOTH, {"rules": {3: (*RULES[:2], RULES[3])}}, (3, 4, 5)),
        # The last of IPv6, which is a profile less there.
        (BOTH, {"rules": {3: RULES[:3]}}, (1, 2, 3, 4, 5)),
        (BOTH, {"rules": {1: ()}}, (1, 2, 3, 4, 5)),
        # One comes, at the end or not.
        (BOTH, {"rules": {1: (*RULES, LAST)}}, (5,)),
        (BOTH, {"rules": {1: (*RULES, FIRST)}}, (1, 2, 5)),
        # Somebody leaves the group that rules name.
        (BOTH, {"members": ()}, (1, 2, 3, 4, 5)),
        # A guest leaves a group in which others stay, for a new one or none.
        ({**BOTH, 2: (8,)}, {}, (2, 5)),
        ({**BOTH, 2: (1, 8)}, {}, (2, 5)),
        ({**BOTH, 2: (9,)}, {}, (2, 5)),
        ({**BOTH, 2: ()}, {}, (2, 5)),
        # The last of a profile leaves it, or the host.
        ({**BOTH, 4: (3,)}, {}, (1, 2, 3, 4, 5)),
        ({**BOTH, 3: (8,)}, {}, (1, 2, 3, 4, 5)),
        ({1: (1,), 2: (1,), 4: (3, 4)}, {}, (1, 2, 4, 5)),
        # The whole network is let in no more.
        (BOTH, {"allow_same_net_traffic": False}, (1, 2, 3, 4, 5)),
    ],
)
def test_losses_beside_a_group_that_comes(namespace, rest, options, who):
    same_net = "allow_same_net_traffic" in options
    before = grouped(BOTH, allow_same_net_traffic=same_net)
    plan = grouped({**rest, **NEW}, **options)
    found = judged(namespace, (before, plan))
    assert found == addresses(plan, *who)
