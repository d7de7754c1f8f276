"""What differs between sequences of objects, and texts that live of it."""

import random
from dataclasses import replace

import pytest

from flatnet.apply.dhcp.texts import Texts
from flatnet.apply.middle import middle
from flatnet.state.plan import DhcpHost
from tests.builders import dhcp_server

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


def test_equals_are_not_the_same():
    one, other = (DhcpHost("fa:16:3e:00:00:01", "10.0.0.2") for _ in "ab")
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
    return DhcpHost(f"fa:16:3e:00:00:{number:02x}", f"10.0.0.{number}", name)
