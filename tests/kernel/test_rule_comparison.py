"""Rules are compared with what iptables-save prints, word by word."""

import pytest
from edited import EDITS, FAMILIES, edit, output
from everything import OUTSIDES, everything
from rules import planned

from flatnet.apply.filter.iptables.firewall import apply_firewall
from flatnet.apply.filter.iptables.iptables import changed, jump_line
from flatnet.apply.filter.iptables.marks import lines
from flatnet.apply.filter.iptables.rendering import rules
from flatnet.apply.filter.iptables.saved import read_tables
from flatnet.apply.worker_cache import WorkerCache

# As on a host where /etc/protocols has no names.
NAMELESS = "mount --bind /dev/null /etc/protocols && exec "


def shown(family, table):
    """The rules of ours and of built-in chains, by chain."""
    save = f"{NAMELESS}{FAMILIES[family]}-save -t {table}"
    found = {}
    for line in output("unshare", "--mount", "sh", "-c", save).splitlines():
        if line.startswith("-A "):
            _, chain, rule = line.split(" ", 2)
            found.setdefault(chain, []).append(rule)
        elif line.startswith(":flatnet-"):
            found[line[1:].split(" ")[0]] = []
    return found


def rules_of(table):
    """The rules of a table of IPv4, without counters."""
    lines = output("iptables-save", "-t", table).splitlines()
    return [line for line in lines if line.startswith("-")]


def written(table):
    """What we write of a table, by chain."""
    return {
        **{each.name: list(lines(each)) for each in table.chains},
        **{jump.builtin: [jump_line(jump)] for jump in table.jumps},
    }


@pytest.mark.parametrize("same_network", [True, False])
@pytest.mark.parametrize("outside", OUTSIDES)
def test_each_rule_reads_back_as_it_was_written(
    namespace, backend, outside, same_network
):
    wanted = everything(outside, same_network=same_network)

    def steps():
        changes = apply_firewall(wanted, WorkerCache())
        assert (changes.failures, bool(changes.made)) == ((), True)
        # Here with the names that this host has.
        assert apply_firewall(wanted, WorkerCache()).made == ()
        for table in rules(wanted).tables:
            assert shown(table.family, table.name) == written(table)
        return True

    assert namespace.call(steps)


PLAN = planned(1, 2)


def key_of(how):
    """What is written again after an edit."""
    chain, table = how[:2]
    return "iptables", table, chain


@pytest.mark.parametrize("how", EDITS)
def test_an_edit_that_keeps_our_comment_is_found(namespace, backend, how):
    def steps():
        known = WorkerCache()
        assert apply_firewall(PLAN, known).failures == ()
        assert apply_firewall(PLAN, known).made == ()
        # Who remembers, and who has just been started.
        for finder in (known, WorkerCache()):
            good = rules_of(how[1])
            edit(*how)
            assert rules_of(how[1]) != good
            changes = apply_firewall(PLAN, finder)
            assert changes.failures == ()
            (effect,) = changes.made
            assert effect.key == key_of(how)
            assert apply_firewall(PLAN, finder).made == ()
            assert rules_of(how[1]) == good
        return True

    assert namespace.call(steps)


def test_who_could_pass_by_an_edit_is_judged_anew(namespace):
    def steps():
        assert apply_firewall(PLAN, WorkerCache()).failures == ()
        edit(*EDITS[0])
        return apply_firewall(PLAN, WorkerCache()).judged

    assert {"10.0.0.2", "10.0.0.3"} <= namespace.call(steps)


# Another iptables: marks without quotes, states in another order.
OTHERWISE = r"""#!/bin/sh
{busy}
exec {multi} {name} "$@" |
sed -e 's/"\(flatnet:[0-9a-f]*\)"/\1/' \
    -e 's/RELATED,ESTABLISHED/ESTABLISHED,RELATED/'
"""


def other_words(directory, busy=""):
    """Have what saves tables print some words otherwise."""
    for name in FAMILIES.values():
        program = directory / f"{name}-save"
        multi = program.readlink()
        program.unlink()
        program.write_text(
            OTHERWISE.format(name=program.name, multi=multi, busy=busy)
        )
        program.chmod(0o755)


def made(known):
    """What a pass of the plan has done; nothing of it fails."""
    changes = apply_firewall(PLAN, known)
    assert changes.failures == ()
    return changes.made


@pytest.mark.parametrize("backend", ["nft"], indirect=True)
def test_another_iptables_costs_one_write_and_hides_no_edit(
    namespace, backend
):
    other_words(backend)

    def steps():
        known = WorkerCache()
        for each in (known, known, WorkerCache()):
            assert made(each)
        assert made(known) == ()
        assert made(known) == ()
        for how in EDITS:
            edit(*how)
            (effect,) = made(known)
            assert effect.key == key_of(how)
            assert made(known) == ()
        return True

    assert namespace.call(steps)


@pytest.mark.parametrize("backend", ["legacy"], indirect=True)
def test_another_legacy_one_costs_a_write_in_each_pass_and_hides_no_edit(
    namespace, backend
):
    """Where nobody counts, what reads as before may be an edit made anew."""
    other_words(backend)

    def steps():
        known = WorkerCache()
        assert made(known)
        always = made(known)
        assert always
        assert made(known) == always
        for how in EDITS:
            good = rules_of(how[1])
            edit(*how)
            assert rules_of(how[1]) != good
            assert key_of(how) in {e.key for e in made(known)}
            assert rules_of(how[1]) == good
        return True

    assert namespace.call(steps)


@pytest.mark.parametrize("backend", ["legacy"], indirect=True)
def test_an_edit_that_is_made_anew_after_our_write_is_found_again(
    namespace, backend
):
    (table,) = (
        each
        for each in rules(PLAN).tables
        if (each.family, each.name) == (4, "filter")
    )

    def steps():
        known = WorkerCache()
        assert apply_firewall(PLAN, known).failures == ()
        good = rules_of("filter")
        edit(*EDITS[0])
        existing = known.words.understood(
            read_tables(4).tables["filter"], table
        )

        def write():
            assert apply_firewall(PLAN, WorkerCache()).failures == ()
            assert rules_of("filter") == good
            edit(*EDITS[0])
            return ""

        known.words.writing((existing, table), table, known.proven, write)
        assert rules_of("filter") != good
        assert apply_firewall(PLAN, known).made
        return rules_of("filter") == good

    assert namespace.call(steps)


@pytest.mark.parametrize("backend", ["nft"], indirect=True)
def test_what_is_printed_while_others_write_is_not_taken_for_ours(
    namespace, backend, tmp_path
):
    busy = tmp_path / "busy"
    busy.touch()
    other_words(backend, f"[ ! -e {busy} ] || nft add table ip t$$")

    def steps():
        known = WorkerCache()
        assert all(made(known) for _ in range(4))
        busy.unlink()
        assert made(known)
        assert made(known) == ()
        return True

    assert namespace.call(steps)


def test_what_reads_otherwise_than_before_is_not_taken_for_ours(
    namespace, backend
):
    """An edit may come between what we do."""
    (table,) = (
        each
        for each in rules(PLAN).tables
        if (each.family, each.name) == (4, "filter")
    )

    def found(words):
        return words.understood(read_tables(4).tables["filter"], table)

    def steps():
        known = WorkerCache()
        assert apply_firewall(PLAN, known).failures == ()
        edit("flatnet-g-1", "filter", "--dport 22 ", "--dport 23 ")
        before = found(known.words)

        def write():
            edit("flatnet-g-1", "filter", "--dport 23 ", "--dport 24 ")
            return ""

        assert (
            known.words.writing((before, table), table, known.proven, write)
            == ""
        )
        return [each.name for each in changed(found(known.words), table)]

    assert namespace.call(steps) == ["flatnet-g-1"]
