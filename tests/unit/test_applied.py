"""What a pass looks at, and what stands of those before it."""

from dataclasses import replace

import pytest

from flatnet.apply.applied import Applied
from flatnet.apply.channel import Work
from flatnet.state.changes import HOST, Changes, Failure, FoundPort
from flatnet.state.effects import Subject, Surface
from flatnet.state.parts import Delta, GonePort, Parts, difference
from tests.builders import interface, settings, snapshot
from tests.effects import BRIDGE, DHCP, port
from tests.planned import host_plan, parted

PLAN = host_plan(
    snapshot(interfaces=tuple(map(interface, (1, 2, 3)))), settings()
)
PARTS = parted(PLAN)
# The keys of guests are the names of their ports here.
NAMES = sorted(PARTS.guests)
OWNERS = [PARTS.guests[name].port.instance_uuid for name in NAMES]
ALL = Work(1, difference(Parts(PARTS.host), PARTS))


def scoped(number, *looked_at):
    nothing = Delta(Parts(PARTS.host))
    return Work(number, nothing, number - 1, (), False, looked_at)


def passed(applied, work, *ports, failures=()):
    """Have some work be done that found such ports; return its own."""
    plan, names = applied.begun(work)
    applied.note(plan, Changes(ports=ports, failures=failures), names)
    applied.done(work)
    return names if names is None else sorted(names)


def test_a_pass_looks_at_whoever_suffers_from_what_failed_before():
    applied = Applied()
    failure = Failure(port(NAMES[1]), "it is not there", (OWNERS[1],))
    assert passed(applied, ALL, failures=(failure,)) is None
    assert (
        passed(applied, scoped(2, NAMES[0]), failures=(failure,)) == NAMES[:2]
    )
    assert passed(applied, scoped(3, NAMES[0])) == NAMES[:2]
    assert passed(applied, scoped(4, NAMES[0])) == NAMES[:1]


def test_a_plan_of_which_nothing_is_another_is_the_same():
    applied = Applied()
    first, _ = applied.begun(ALL)
    applied.done(ALL)
    again, _ = applied.begun(scoped(2, NAMES[0]))
    assert again is first


def test_who_begins_anew_does_so_in_one_plan():
    applied = Applied()
    first, _ = applied.begun(replace(ALL, renewed=(OWNERS[0],)))
    for number, renewed in ((2, ()), (3, (OWNERS[1],)), (4, ())):
        plan, _ = applied.begun(replace(scoped(number), renewed=renewed))
        assert plan.renewed == renewed
        assert plan.ports == first.ports


@pytest.mark.parametrize("what", ["host", "put", "dropped"])
def test_a_plan_of_which_anything_is_another_is_made(what):
    applied = Applied()
    first, _ = applied.begun(ALL)
    host = replace(PARTS.host, same_network=not PARTS.host.same_network)
    guests = {k: v for k, v in PARTS.guests.items() if k != NAMES[0]}
    after = {
        "host": replace(PARTS, host=host),
        "put": replace(PARTS, gone={"tap9": GonePort("tap9")}),
        "dropped": replace(PARTS, guests=guests),
    }
    work = replace(scoped(2), delta=difference(PARTS, after[what]))
    plan, _ = applied.begun(work)
    assert plan != first
    assert (
        plan
        == Applied().begun(Work(1, difference(Parts(host), after[what])))[0]
    )


def found(*states):
    """What a pass found of the ports, in their order."""
    return [FoundPort(*each) for each in zip(NAMES, states, strict=False)]


def test_what_fails_for_the_host_has_those_looked_at_that_are_not_up():
    applied = Applied()
    lasting = [Failure(Subject(Surface.FIREWALL), "no iptables", key=HOST)]
    passed(applied, ALL, *found("up", "up", "shut"), failures=lasting)
    one = found("up")
    work = scoped(2, NAMES[0])
    assert passed(applied, work, *one, failures=lasting) == NAMES[::2]
    work = scoped(3, NAMES[1])
    lacks = found("up", "missing")[1:]
    assert passed(applied, work, *lacks, failures=lasting) == NAMES[1:]
    # All that were left are seen to by the pass that ends it.
    work = scoped(4, NAMES[0])
    assert passed(applied, work, *found("up", "up", "up")) == NAMES
    assert passed(applied, scoped(5, NAMES[0])) == NAMES[:1]


@pytest.mark.parametrize("surface", [Surface.PORT, Surface.BRIDGE])
def test_a_step_over_ports_that_dies_has_all_looked_at(surface):
    applied = Applied()
    failure = Failure(Subject(surface), "ValueError", key=HOST)
    up = found("up", "up", "up")
    passed(applied, ALL, *up, failures=[failure])
    assert passed(applied, scoped(2, NAMES[0])) == NAMES


def test_who_lacks_what_is_no_port_is_not_looked_at_for_it():
    applied = Applied()
    dhcp = Failure(DHCP, "no dnsmasq", tuple(OWNERS))
    passed(applied, ALL, *found("up", "up", "up"), failures=[dhcp])
    work = scoped(2, NAMES[0])
    assert passed(applied, work, failures=[dhcp]) == NAMES[:1]


def test_a_bridge_that_failed_has_its_ports_looked_at():
    applied = Applied()
    failure = Failure(BRIDGE, "no uplink", tuple(OWNERS[1:]))
    passed(applied, ALL, *found("up", "up", "up"), failures=[failure])
    assert passed(applied, scoped(2, NAMES[0])) == NAMES
    assert passed(applied, scoped(3, NAMES[0])) == NAMES[:1]


def test_what_is_not_up_is_nobodys_failure_by_itself():
    applied = Applied()
    passed(applied, ALL, *found("missing", "up", "up"))
    assert passed(applied, scoped(2, NAMES[1])) == NAMES[1:2]


def test_a_port_is_as_it_was_found_last():
    applied = Applied()
    up = [FoundPort(name, "up", carrier=True) for name in NAMES]
    passed(applied, ALL, *up)
    assert applied.plugged == dict.fromkeys(NAMES, True)
    passed(applied, scoped(2, NAMES[0]), replace(up[0], carrier=False))
    assert applied.plugged == {
        NAMES[0]: False,
        NAMES[1]: True,
        NAMES[2]: True,
    }
    # One that was looked at and is not there, and one whose guest went.
    fewer = Parts(
        PARTS.host, PARTS.networks, dict(list(PARTS.guests.items())[:2])
    )
    gone = replace(scoped(3, NAMES[0]), delta=difference(PARTS, fewer))
    passed(applied, gone, FoundPort(NAMES[0], "missing"))
    assert applied.plugged == {NAMES[1]: True}
    # Of a whole pass what it found is all that there is.
    passed(applied, replace(ALL, number=4))
    assert applied.plugged == {}


@pytest.mark.parametrize("base", [2, 3])
def test_work_on_parts_that_never_came_into_force_is_not_done(base):
    applied = Applied()
    passed(applied, ALL)
    assert applied.has(1)
    assert applied.has(None)
    applied.begun(scoped(2))
    # It was not done: an error ended it.
    assert not applied.has(1)
    assert not applied.has(base)
    assert applied.has(None)


def test_work_on_no_base_is_all_that_there_is():
    applied = Applied()
    passed(applied, ALL)
    one = replace(PARTS, guests={NAMES[0]: PARTS.guests[NAMES[0]]})
    plan, _ = applied.begun(Work(2, difference(Parts(PARTS.host), one)))
    ports = [each.name for bridge in plan.bridges for each in bridge.ports]
    assert ports == [NAMES[0]]


def test_ports_are_told_again_to_who_does_not_know_them():
    applied = Applied()
    up = (FoundPort(NAMES[0], "up"),)
    assert not applied.is_as_found(ALL, up)
    # Who asks has had no answer.
    assert not applied.is_as_found(replace(ALL, number=2), up)
    assert not applied.is_as_found(replace(ALL, number=3, found=1), up)
    assert applied.is_as_found(replace(ALL, number=4, found=3), up)
    assert not applied.is_as_found(replace(scoped(5), found=3), up)
    assert applied.is_as_found(replace(ALL, number=6, found=3), up)
    held = (replace(up[0], carrier=True),)
    assert not applied.is_as_found(replace(ALL, number=7, found=3), held)
    assert not applied.is_as_found(replace(ALL, number=8, found=7), up)
