"""How often another host is asked to follow, and what is told of it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from flatnet import deadline
from flatnet.exceptions import BrokerUnavailable, HostSetupError
from flatnet.following import Followers, deallocated
from tests.waiting import eventually

SOON = 20


class Peer:
    """Another host, which is asked once `gate` is set."""

    def __init__(self, *errors):
        self.asked, self.errors = [], list(errors)
        self.gate = threading.Event()

    def follow_deallocations(self, context, *, host, instance_ids):
        self.asked.append((host, sorted(instance_ids)))
        assert self.gate.wait(SOON)
        if self.errors:
            raise self.errors.pop(0)
        return {each: "no room" for each in instance_ids if each == "odd"}


def told(peer, followers, first, *others):
    """What each is told, the others after they have gathered."""
    with ThreadPoolExecutor(9) as pool:
        ask = [pool.submit(followers.behind, first, ("b", "here"))]
        eventually(lambda: peer.asked, seconds=SOON)
        ask += [pool.submit(followers.behind, each, ("b",)) for each in others]
        eventually(
            lambda: len(followers._asked["b"]._waiting) == len(others),
            seconds=SOON,
        )
        peer.gate.set()
        return [each.result(SOON) for each in ask]


def test_each_is_told_of_its_own():
    peer = Peer()
    followers = Followers(lambda _: peer, "here", deallocated)
    got = told(peer, followers, "vm-1", "vm-2", "odd")
    assert peer.asked == [("b", ["vm-1"]), ("b", ["odd", "vm-2"])]
    assert got == [{}, {}, {"b": "no room"}]


@pytest.mark.parametrize("error", [HostSetupError, BrokerUnavailable])
def test_what_fails_for_the_host_is_asked_for_once(error):
    peer = Peer(error("no"), error("not now"))
    followers = Followers(lambda _: peer, "here", deallocated)
    got = told(peer, followers, "vm-1", "vm-2", "vm-3")
    assert len(peer.asked) == 2
    assert got == [{"b": "no"}, {"b": "not now"}, {"b": "not now"}]


def test_a_host_that_is_known_to_be_away_is_not_asked():
    def away(host):
        raise BrokerUnavailable(f"host {host} is stopped")

    followers = Followers(away, "here", deallocated)
    assert followers.behind("vm-1", ("a", "b", "here")) == {
        "a": "host a is stopped",
        "b": "host b is stopped",
    }


def test_who_has_no_turn_in_time_is_told_that():
    peer = Peer()
    followers = Followers(lambda _: peer, "here", deallocated)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(followers.behind, "vm-1", ("b",))
        eventually(lambda: peer.asked, seconds=SOON)
        with deadline.within(0.05):
            behind = followers.behind("vm-2", ("b",))
        peer.gate.set()
        assert first.result(SOON) == {}
    assert behind == {"b": "host b was not asked in time: it follows others"}
