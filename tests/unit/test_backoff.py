"""How soon one sees to what happens again and again, by a clock of ours."""

import itertools

from flatnet.apply.backoff import LONGEST_PAUSE, MINUTE, Backoff
from flatnet.apply.fights import RULES, Fights
from flatnet.state.changes import Fight
from flatnet.state.effects import Subject, Surface

TAP = Subject(Surface.PORT, "tap1")


def heard(backoff, times, what="it"):
    """When something is seen to that happens at each of these times."""
    found = []
    for now in times:
        backoff.count(what, now)
        backoff.ask(what, now)
        found += [now for _ in backoff.due(now)]
    return found


def test_what_happens_now_and_then_is_seen_to_at_once():
    times = [0.0, 1.0, 100.0, 101.0, 200.0]
    assert heard(Backoff(freely=2), times) == times


def test_what_goes_on_is_seen_to_less_and_less_often():
    times = [tenth / 5 for tenth in range(5 * 200)]
    found = heard(Backoff(freely=2), times)
    assert found[:3] == [0.0, 0.2, 1.2]
    pauses = [round(b - a) for a, b in itertools.pairwise(found[2:])]
    assert pauses == [2, 4, 8, 16, 30, 30, 30, 30, 30]


def test_the_last_of_many_is_seen_to_without_another():
    backoff = Backoff(freely=1)
    assert heard(backoff, [0.0, 0.1, 0.2]) == [0.0]
    assert backoff.due(0.9) == frozenset()
    assert backoff.due(1.0) == {"it"}
    assert backoff.due(100.0) == frozenset()


def test_one_that_goes_on_holds_up_no_other():
    backoff = Backoff(freely=1)
    heard(backoff, [0.0, 0.1, 0.2])
    assert heard(backoff, [0.3], "other") == [0.3]


def test_after_a_quiet_minute_all_is_forgotten():
    backoff = Backoff(freely=1)
    assert heard(backoff, [0.0, 1.0, 1.5]) == [0.0, 1.0]
    assert backoff.ended(2 * MINUTE) == ()
    assert backoff.due(4.0) == {"it"}
    (over,) = backoff.ended(1.5 + MINUTE)
    assert (over.what, over.since, over.times) == ("it", 0.0, 3)
    assert heard(backoff, [70.0]) == [70.0]
    assert backoff.often() == ()


def undone(fights, times, what=TAP):
    for now in times:
        fights.to_repair(what, "somebody", now)
        fights.due(now)
    return fights


def test_a_fight_is_told_once_and_shown_as_long_as_it_goes_on():
    fights = undone(Fights(), range(4))
    assert fights.begun() == ()
    assert fights.shown(now=4, time=1004) == ()
    undone(fights, [4])
    (line,) = fights.begun()
    assert line.startswith(
        "port tap1: somebody undoes again and again what is repaired (5 times"
    )
    undone(fights, [5, 6])
    assert fights.begun() == ()
    (shown,) = fights.shown(now=10, time=1010.4)
    assert shown == Fight(TAP, "somebody", since=1000, times=7)


def test_the_end_of_a_fight_is_told_once():
    fights = undone(Fights(), range(5))
    fights.begun()
    fights.due(4 + LONGEST_PAUSE)
    assert fights.ended(4 + MINUTE - 1) == ()
    (line,) = fights.ended(4 + MINUTE)
    assert line == (
        "port tap1: nobody undoes it any more; it was undone 5 times"
    )
    assert fights.ended(4 + MINUTE) == fights.begun() == ()
    assert fights.shown(now=70, time=1070) == ()


def test_who_fights_only_after_each_repair_has_not_ended():
    """Though that is not five times a minute any more."""
    fights = undone(Fights(), range(5))
    now, repaired = 4.0, []
    for _ in range(20):
        fights.to_repair(TAP, "somebody", now + 0.5)
        repaired.append(next(n for n in range(9999) if fights.due(n)))
        now = repaired[-1]
        assert fights.ended(now) == ()
    assert repaired[-1] - repaired[-2] >= LONGEST_PAUSE


def test_a_bridge_waits_for_nothing_either():
    """By its name the rules know guests."""
    bridge = Subject(Surface.BRIDGE, "br100")
    fights = Fights()
    for tenth in range(60):
        fights.to_repair(bridge, "somebody", tenth / 10)
        assert fights.due(tenth / 10) == {bridge}
    (line,) = fights.begun()
    assert "put back each time" in line


def test_of_rules_passes_are_due_less_and_less():
    """They are put back each time; passes judge who connected meanwhile."""
    fights, due = Fights(), []
    for now in range(60):
        fights.to_repair(RULES, f"nft ({now})", now)
        due += [now] * (fights.due(now) == {RULES})
    assert due == [0, 1, 2, 3, 4, 6, 10, 18, 34]
    (shown,) = fights.shown(now=20, time=20)
    assert (shown.what, shown.who, shown.times) == (RULES, "nft (59)", 60)
    (line,) = fights.begun()
    assert "put back each time" in line
    assert fights.is_open(RULES)
