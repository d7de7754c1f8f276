"""What differs between sequences of objects, and texts that live of it."""

import random
from dataclasses import replace

import pytest

from flatnet.apply.dhcp.texts import Texts
from flatnet.apply.filter.guard import sets
from flatnet.apply.filter.guard.sets import GuardSets
from flatnet.apply.filter.iptables import rendering
from flatnet.apply.filter.iptables.rendering import Rendering
from flatnet.apply.link.strangers import Strangers
from flatnet.apply.sequence_diff import differing, middle
from tests.builders import (
    dhcp_host,
    dhcp_server,
    interface,
    settings,
    snapshot,
)
from tests.planned import host_plan

SERVER = dhcp_server(domain="novalocal")


def some_changes(seed):
    """Tuples of objects, each somewhat another than the one before."""
    chance = random.Random(seed)
    now = []
    for number in range(60):
        for _ in range(chance.randrange(3)):
            now.insert(chance.randint(0, len(now)), object())
        for _ in range(chance.randrange(3)):
            if now:
                now.pop(chance.randrange(len(now)))
        if number % 20 == 19:
            now = []
        yield tuple(now)


@pytest.mark.parametrize("seed", range(20))
def test_what_differs_makes_the_new_of_the_old(seed):
    before = ()
    for now in some_changes(seed):
        went, came = middle(before, now)
        made = before[: went.start] + now[came] + before[went.stop :]
        assert made == now
        if went.stop > went.start and came.stop > came.start:
            assert before[went.start] is not now[came.start]
            assert before[went.stop - 1] is not now[came.stop - 1]
        before = now


@pytest.mark.parametrize("seed", range(20))
def test_who_came_and_who_went_is_nobody_who_stays(seed):
    before = ()
    for now in some_changes(seed):
        went, came = differing(before, now)
        assert set(went) == set(before) - set(now)
        assert set(came) == set(now) - set(before)
        before = now


def test_who_stands_between_two_that_come_costs_nothing(monkeypatch):
    """Many are allocated in one pass, and stand anywhere."""
    numbers = [*range(1, 9)]
    first, last = (plan(numbers), plan([*numbers, 9]))
    guests = first.filter.guests
    ends = last.filter.guests[-1], replace(guests[0], addresses=())
    other = (ends[1], *guests[1:], ends[0])
    asked = counted(monkeypatch, rendering, "_claims")
    rendered = Rendering()
    rendered.rules(first.filter)
    asked.clear()
    rendered.rules(replace(first.filter, guests=other))
    assert {each.uuid for each in asked} == {each.uuid for each in ends}
    ports = last.guard.ports
    asked = counted(monkeypatch, sets, "port_elements")
    held = GuardSets()
    held.note(replace(last.guard, ports=ports[1:-1]), Strangers())
    asked.clear()
    held.note(last.guard, Strangers())
    assert asked == [ports[0], ports[-1]]


def plan(numbers):
    """A host with these guests, all filtered."""
    rows = snapshot(interfaces=tuple(map(interface, numbers)))
    return host_plan(rows, settings(allow_same_net_traffic=False))


def counted(monkeypatch, module, name):
    """What a function is asked about, from now on."""
    asked, plain = [], getattr(module, name)

    def noting(first, *others, **named):
        asked.append(first)
        return plain(first, *others, **named)

    monkeypatch.setattr(module, name, noting)
    return asked


def test_equals_are_not_the_same():
    one, other = (dhcp_host("fa:16:3e:00:00:01", "10.0.0.2") for _ in "ab")
    assert middle((one,), (other,)) == (slice(0, 1), slice(0, 1))


@pytest.mark.parametrize("seed", range(5))
def test_a_text_is_the_same_whatever_came_before(seed):
    chance, texts, hosts = random.Random(seed), Texts(), {}
    for now in some_changes(seed):
        made = tuple(hosts.setdefault(each, a_host(chance)) for each in now)
        server = replace(
            SERVER,
            hosts=made,
            domain=chance.choice(("novalocal", "novalocal", "")),
            bridge=chance.choice(("br100", "br101")),
        )
        assert texts.of(server) == Texts().of(server)
        if chance.random() < 0.1:
            texts.forget(server.bridge)


def a_host(chance):
    number = chance.randrange(256)
    name = chance.choice((None, f"vm-{number}"))
    return dhcp_host(f"fa:16:3e:00:00:{number:02x}", f"10.0.0.{number}", name)
