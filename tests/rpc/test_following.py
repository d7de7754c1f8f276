"""Whoever is asked deallocates, and the hosts that had ports follow."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from test_backlog import Gate
from test_rpc import CONTEXT, broker, database, new_instance

from flatnet import rpc
from flatnet.db import bindings
from flatnet.endpoints.backlog import Turns
from flatnet.endpoints.own_methods import FlatnetEndpoint
from tests.rpc.daemons import Node
from tests.waiting import eventually

__all__ = ("broker", "database")
SOON = 20


@pytest.fixture
def nodes(broker, database):
    """Two daemons, each of which does one call at a time."""
    nodes = [
        Node(name, database, broker, Turns(at_work=1))
        for name in ("node1", "node2")
    ]
    yield nodes
    for node in nodes:
        node.stop()


@pytest.fixture
def crowd(broker, database):
    """Two daemons that are at many calls at once."""
    nodes = [Node(name, database, broker) for name in ("node1", "node2")]
    yield nodes
    for node in nodes:
        node.stop()


@pytest.fixture
def api(broker):
    return rpc.NetworkAPI(broker, SOON)


def allocated(api, database, host):
    uuid = new_instance(database, host=host)
    api.allocate_for_instance(CONTEXT, instance_id=uuid, host=host)
    return uuid


def deallocate(api, uuid, by):
    """Have this very daemon do it."""
    asked = {"instance_id": uuid}
    return api._call(CONTEXT, "deallocate_for_instance", asked, host=by)


def in_threads(*calls):
    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(call) for call in calls]
        return [each.result(2 * SOON) for each in futures]


def test_two_hosts_do_not_wait_for_each_other(api, nodes, database):
    """Each has a call at work that waits for the other to follow."""
    both = threading.Barrier(2, timeout=SOON)
    wanted = []
    for node, by, host in zip(
        nodes, ("node1", "node2"), ("node2", "node1"), strict=True
    ):
        uuid = allocated(api, database, host)
        wanted.append(lambda u=uuid, by=by: deallocate(api, u, by))
        ledger = node.manager._ledger

        def together(farewell, write=ledger.deallocate):
            both.wait()
            return write(farewell)

        ledger.deallocate = together
    assert in_threads(*wanted) == [None, None]
    assert bindings.list_all(database) == ()


def test_a_host_is_asked_for_many_at_once(api, crowd, database):
    node, other = crowd
    uuids = [allocated(api, database, "node2") for _ in range(9)]
    asked, follow = [], other.manager.follow

    def noted(instances):
        asked.append(len(instances))
        return follow(instances)

    other.manager.follow = noted
    gate = Gate(other)
    gate.is_open.clear()
    followers = node.manager._followers
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(deallocate, api, uuids[0], "node1")
        eventually(lambda: asked, seconds=SOON)
        others = [
            pool.submit(deallocate, api, uuid, "node1") for uuid in uuids[1:]
        ]
        eventually(
            lambda: len(followers._asked["node2"]._waiting) == 8, seconds=SOON
        )
        gate.is_open.set()
        answers = [each.result(SOON) for each in (first, *others)]
    assert answers == [None] * 9
    assert asked == [1, 8]
    assert bindings.list_all(database) == ()


def test_each_is_told_of_its_own_instance(api, crowd, database):
    _, other = crowd
    odd, well = (allocated(api, database, "node2") for _ in range(2))
    other.applier.refused = (odd,)
    answers = in_threads(
        lambda: deallocate(api, odd, "node1"),
        lambda: deallocate(api, well, "node1"),
    )
    assert answers[1] is None
    assert answers[0]["followed"] is False
    assert "no room" in answers[0]["hosts"]["node2"]


def test_an_older_daemon_follows_too(api, crowd, database, monkeypatch):
    monkeypatch.delattr(FlatnetEndpoint, "follow_deallocations")
    _, other = crowd
    odd, well = (allocated(api, database, "node2") for _ in range(2))
    assert deallocate(api, well, "node1") is None
    other.applier.refused = (odd,)
    answer = deallocate(api, odd, "node1")
    assert "no room" in answer["hosts"]["node2"]
