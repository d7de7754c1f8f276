"""What is remembered of sets, held against what the kernel says of them."""

import subprocess
from dataclasses import replace

import pytest
from host_state import output
from rules import EMPTY, planned

from flatnet.apply.filter.iptables import ipset
from flatnet.apply.filter.iptables.firewall import apply_firewall
from flatnet.apply.filter.iptables.ipset_cache import Sets
from flatnet.apply.filter.iptables.ipset_heads import count
from flatnet.apply.filter.iptables.tables import AddressSet
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.effects import Verb
from tests.effects import ipset as ipset_effect
from tests.waiting import eventually

WANTED = tuple(
    AddressSet(
        f"flatnet-{name}",
        4,
        frozenset(map(ipset.packed, ("10.0.0.2", "10.0.0.3"))),
    )
    for name in ("one", "two")
)


def run(command):
    subprocess.run(command.split(), check=True, timeout=60)


def settled(wanted=WANTED):
    """Sets that were written as they are wanted, and are known to be so."""
    sets = Sets()
    written(sets, wanted)
    return sets


def written(sets, wanted):
    existing = sets.read()
    edits, errors = ipset.differences(wanted, existing)
    _, more = ipset.close_sets(edits, sets.asking)
    assert not errors
    assert not more
    sets.note(existing, edits, away=ipset.Removed(), refused=())


def many_wanted(number):
    """Sets as above, and so many beside them."""
    return WANTED + tuple(
        replace(WANTED[0], name=f"flatnet-{each}") for each in range(number)
    )


def settled_again(sets):
    """What the next look at all sets says, once that is due."""
    eventually(lambda: sets.is_counting_due, seconds=100)
    return sets.are_as_left()


def test_sets_that_are_as_they_were_left_stay_settled(namespace):
    def read_again():
        sets = settled()
        for _ in range(2):
            sets.forget()
            sets.read()
            assert sets.differing(WANTED) == ()
        before = sets.read()
        sets.forget()
        found = sets.read()
        return all(found[name] is before[name] for name in before)

    assert namespace.call(read_again)


@pytest.mark.parametrize(
    "commands",
    [
        ("ipset del flatnet-one 10.0.0.2",),
        ("ipset del flatnet-one 10.0.0.2", "ipset add flatnet-one 10.0.0.9"),
        ("ipset add flatnet-one 10.0.0.0/30",),
        ("ipset flush flatnet-one",),
        ("ipset destroy flatnet-one",),
        (
            "ipset destroy flatnet-one",
            "ipset create flatnet-one hash:net family inet6",
        ),
        ("ipset swap flatnet-one theirs",),
    ],
)
@pytest.mark.parametrize("was_read", [False, True])
def test_one_that_somebody_changed_is_settled_no_more(
    namespace, commands, was_read
):
    def changed():
        run("ipset create theirs hash:net")
        sets = settled()
        if was_read:
            sets.forget()
            sets.read()
        for command in commands:
            run(command)
        sets.forget()
        existing = sets.read()
        different = sets.differing(WANTED)
        edits, _ = ipset.differences(different, existing)
        return different, [(e.gone, e.new) for e in edits if e.gone or e.new]

    different, edits = namespace.call(changed)
    assert different == WANTED[:1]
    assert edits or "inet6" in commands[-1]


@pytest.mark.parametrize("lost", ["ipset destroy", "ipset rename"])
def test_a_question_about_one_that_is_gone_spoils_no_other(namespace, lost):
    """The kernel tells twice that there is no such set."""

    def asked():
        sets = settled()
        name = WANTED[0].name
        run(f"{lost} {name}{' theirs' if 'rename' in lost else ''}")
        seen = sets.are_as_left()
        sets.forget()
        left = set(sets.read())
        counted = count(WANTED[1].name, sets.asking)
        sets.forget()
        return seen, left, counted, set(sets.read())

    left = {WANTED[1].name}
    assert namespace.call(asked) == (False, left, 2, left)


DAMAGES = (
    "ipset add flatnet-one 10.0.0.9",
    "ipset del flatnet-one 10.0.0.2",
    "ipset flush flatnet-one",
    "ipset destroy flatnet-one",
    "ipset swap flatnet-one theirs",
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_set_of_many_is_counted_by_one_look(namespace, damage):
    def counted():
        run("ipset create theirs hash:net")
        sets = settled(many_wanted(200))
        first = sets.are_as_left()
        run("ipset add theirs 10.9.9.9")
        # What becomes of sets of others is nothing to us.
        with_theirs = settled_again(sets)
        run(damage)
        return first, with_theirs, settled_again(sets)

    assert namespace.call(counted) == (True, True, False)


def test_what_we_changed_is_as_we_left_it(namespace):
    def changed():
        sets = settled(WANTED)
        answers = [sets.are_as_left()]
        fewer = replace(
            WANTED[0], members=frozenset((ipset.packed("10.0.0.2"),))
        )
        written(sets, (fewer, WANTED[1]))
        answers.append(settled_again(sets))
        # As many as there were at the first look.
        run("ipset add flatnet-one 10.0.0.9")
        answers.append(settled_again(sets))
        return answers

    assert namespace.call(changed) == [True, True, False]


RULE = "INPUT -m set --match-set flatnet-g4-7 src -j ACCEPT"


def members():
    lines = output("ipset", "save", "flatnet-g4-7").splitlines()
    return [line for line in lines if line.startswith("add")]


def test_one_that_a_rule_of_others_names_stays_empty(namespace):
    """It is told of once, and not waited for again."""

    def applied():
        known, told = WorkerCache(), []
        apply_firewall(planned(1), known)
        before = members()
        run(f"iptables -A {RULE}")
        for _ in range(2):
            told.append(apply_firewall(EMPTY, known).failures)
            assert members() == []
            assert known.sets.are_as_left()
        assert apply_firewall(EMPTY, known).made == ()
        apply_firewall(planned(1), known)
        assert before
        assert members() == before
        apply_firewall(EMPTY, known)
        run(f"iptables -D {RULE}")
        known.sets.forget()
        return told, apply_firewall(EMPTY, known)

    (first, again), last = namespace.call(applied)
    assert [str(each) for each in first] == [
        "ipset flatnet-g4-7: it is in use"
    ]
    assert again == ()
    assert last.made == (ipset_effect(Verb.REMOVED, "flatnet-g4-7"),)
    assert last.failures == ()


@pytest.mark.parametrize("was_changed", [False, True])
def test_an_exchange_in_a_set_that_guards_is_seen_whoever_wrote_it(
    namespace, was_changed
):
    one, other = WANTED

    def exchanged():
        guarding = replace(one, guards=True)
        sets = settled((guarding, other))
        if was_changed:
            less = one.members - {ipset.packed("10.0.0.3")}
            written(sets, (replace(guarding, members=less), other))
        answers = [sets.are_as_left(), sets.are_as_left()]
        run("ipset del flatnet-one 10.0.0.2")
        run("ipset add flatnet-one 10.0.0.9")
        eventually(lambda: not sets.are_as_left(), seconds=100)
        return answers

    assert namespace.call(exchanged) == [True, True]


@pytest.mark.parametrize("was_read", [False, True])
def test_an_exchange_after_our_own_write_is_seen_by_the_next_probe(
    namespace, was_read
):
    """Of a host with few sets, as large as before, that lets somebody in."""
    less = WANTED[1].members - {ipset.packed("10.0.0.3")}

    def exchanged():
        sets = settled()
        if was_read:
            # As a whole pass does.
            sets.forget()
            sets.read()
            written(sets, (WANTED[0], replace(WANTED[1], members=less)))
        run("ipset del flatnet-two 10.0.0.2")
        run("ipset add flatnet-two 10.0.0.9")
        return sets.are_as_left()

    assert namespace.call(exchanged) is False


@pytest.mark.parametrize("was_read", [False, True])
def test_an_exchange_in_one_of_many_is_seen_when_it_is_its_turn(
    namespace, was_read
):
    def exchanged():
        sets = settled(many_wanted(60))
        if was_read:
            sets.forget()
            sets.read()
        before = [sets.are_as_left() for _ in range(3)]
        run("ipset del flatnet-two 10.0.0.2")
        run("ipset add flatnet-two 10.0.0.9")
        # Many looks, each after a rest.
        eventually(lambda: not sets.are_as_left(), seconds=100)
        return before

    assert namespace.call(exchanged) == [True] * 3


def test_an_exchange_in_one_of_many_is_seen_at_once_by_who_doubts(namespace):
    """Then nobody looks at all again until there is reason to."""

    def exchanged():
        sets = settled(many_wanted(60))
        sets.doubt()
        before = sets.are_as_left()
        run("ipset del flatnet-two 10.0.0.2")
        run("ipset add flatnet-two 10.0.0.9")
        sets.doubt()
        eventually(lambda: not sets.are_as_left(), seconds=100)
        sets.forget()
        sets.read()
        return before, sets.are_as_left()

    assert namespace.call(exchanged) == (True, True)


def test_a_set_that_is_gone_is_missed_by_who_doubts(namespace):
    def gone():
        sets = settled((replace(WANTED[0], members=frozenset()),))
        run("ipset destroy flatnet-one")
        sets.doubt()
        return sets.are_as_left()

    assert namespace.call(gone) is False
