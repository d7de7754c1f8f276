"""Impatient callers: bounded, dropped when they have gone, and told apart."""

import threading
import time

import pytest
from test_rpc import CONTEXT, api, broker, database, new_instance

from flatnet import answers, exceptions, rpc
from flatnet.endpoints.backlog import Turns
from flatnet.state.scope import EVERYTHING
from tests.rpc.daemons import Node

__all__ = ("api", "broker", "database")


class Gate:
    """An applier that ends passes only while it is open."""

    def __init__(self, node):
        self._apply = node.applier.apply
        self.is_open = threading.Event()
        self.is_open.set()
        node.applier.apply = self._gated

    def _gated(self, *parts, **named):
        assert self.is_open.wait(30)
        return self._apply(*parts, **named)


@pytest.fixture
def node(broker, database):
    """A daemon that lets two calls in and two wait."""
    node = Node("node1", database, broker, Turns(at_work=2, most_waiting=2))
    yield node
    node.stop()


def eventually(look, wanted):
    deadline = time.monotonic() + 20
    while (found := look()) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def calls(api):
    found = api.get_host_state(CONTEXT, host="node1")["calls"]
    return found["working"], found["waiting"]


class Callers:
    """Calls in threads; what each ended with, by its instance."""

    def __init__(self, broker, timeout):
        self.api = rpc.NetworkAPI(broker, timeout)
        self.ended = {}
        self._threads = []

    def allocate(self, uuid, host="node1"):
        thread = threading.Thread(target=self._call, args=(uuid, host))
        thread.start()
        self._threads.append(thread)

    def _call(self, uuid, host):
        """Ask a host, whatever the instance's row says."""
        try:
            self.api.allocate_for_instance(
                CONTEXT, instance_id=uuid, host=host
            )
            self.ended[uuid] = "done"
        except exceptions.FlatnetError as error:
            self.ended[uuid] = type(error).__name__.removesuffix("_Remote")

    def wait(self):
        for thread in self._threads:
            thread.join(timeout=30)
            assert not thread.is_alive()
        return self.ended


def test_what_waits_is_bounded_and_ping_is_answered(
    api, broker, node, database, caplog
):
    gate = Gate(node)
    gate.is_open.clear()
    callers = Callers(broker, 20)
    uuids = [new_instance(database) for _ in range(5)]
    for number, uuid in enumerate(uuids[:4], 1):
        callers.allocate(uuid)
        eventually(lambda: calls(api), (min(number, 2), max(number - 2, 0)))
    callers.allocate(uuids[4])
    eventually(lambda: callers.ended, {uuids[4]: "HostOverloaded"})
    assert api.ping(CONTEXT, arg=1, host="node1")["arg"] == 1
    state = api.get_host_state(CONTEXT, host="node1")["calls"]
    assert state["oldest"] > 0
    told = [each for each in caplog.messages if "overloaded" in each]
    assert len(told) == 1
    gate.is_open.set()
    ended = callers.wait()
    assert [ended[uuid] for uuid in uuids[:4]] == ["done"] * 4
    assert calls(api) == (0, 0)


def test_who_waits_for_another_host_lends_his_turn(broker, database):
    """Else two hosts could wait for each other, each for a turn."""
    node = Node("node1", database, broker, Turns(at_work=1))
    other = Node("node2", database, broker)
    gate = Gate(other)
    try:
        gate.is_open.clear()
        callers = Callers(broker, 60)
        away = new_instance(database, "node2")
        callers.allocate(away, "node1")
        eventually(lambda: other.turns.state()["working"], 1)
        mine = new_instance(database, "node1")
        callers.api.allocate_for_instance(
            CONTEXT, instance_id=mine, host="node1"
        )
        assert callers.ended == {}
        gate.is_open.set()
        assert callers.wait() == {away: "done"}
        assert node.turns.state()["working"] == 0
    finally:
        gate.is_open.set()
        node.stop()
        other.stop()


def test_who_waits_for_another_host_is_bounded_too(broker, database):
    few = Node("node1", database, broker, Turns(most_away=0))
    other = Node("node2", database, broker)
    try:
        callers = Callers(broker, 20)
        uuid = new_instance(database, "node2")
        callers.allocate(uuid, "node1")
        assert callers.wait() == {uuid: "HostOverloaded"}
        assert few.turns.state()["working"] == 0
    finally:
        few.stop()
        other.stop()


def test_a_pass_that_does_not_end_is_shown(api, node, monkeypatch):
    monkeypatch.setattr(answers, "_LONG", 0.1)
    gate = Gate(node)
    gate.is_open.clear()
    node.reconciler.ask(EVERYTHING)

    def state():
        return api.get_host_state(CONTEXT, host="node1")["state"]

    eventually(state, "degraded")
    found = api.get_host_state(CONTEXT, host="node1")
    assert "a pass has been running for" in found["error"]
    gate.is_open.set()
    eventually(state, "ready")


def test_calls_that_nobody_waits_for_are_dropped(
    api, broker, node, database, caplog
):
    """Their rows are not written either."""
    gate = Gate(node)
    gate.is_open.clear()
    patient, hasty = Callers(broker, 20), Callers(broker, 0.5)
    served = [new_instance(database) for _ in range(2)]
    late = [new_instance(database) for _ in range(2)]
    for number, uuid in enumerate(served, 1):
        patient.allocate(uuid)
        eventually(lambda: calls(api), (number, 0))
    for uuid in late:
        hasty.allocate(uuid)
    assert set(hasty.wait().values()) == {"BrokerUnavailable"}
    eventually(lambda: calls(api), (2, 0))
    gate.is_open.set()
    assert set(patient.wait().values()) == {"done"}
    node.reconciler.ask_and_wait(20, EVERYTHING)
    with_rows = {
        port.instance_uuid
        for bridge in node.applier.plan.bridges
        for port in bridge.ports
    }
    assert with_rows == set(served)
    assert "dropped" in caplog.text


def test_a_host_that_is_too_slow_for_its_callers_says_so_once(
    broker, database, caplog
):
    """Also where nobody has to wait for his turn."""
    node = Node("node1", database, broker)
    try:
        gate = Gate(node)
        gate.is_open.clear()
        hasty = Callers(broker, 0.5)
        uuids = [new_instance(database) for _ in range(15)]
        for _ in range(3):
            for uuid in uuids:
                hasty.allocate(uuid)
            hasty.wait()
        gate.is_open.set()
        api = rpc.NetworkAPI(broker, 20)
        eventually(lambda: calls(api), (0, 0))
        told = [each for each in caplog.messages if "overloaded" in each]
        assert len(told) == 1
        assert "calls take most of what their callers wait" in told[0]
    finally:
        node.stop()


def test_who_repeats_himself_does_not_make_a_host_mute(broker, node, database):
    """Fifteen of them, whose client is gone in the end."""
    gate = Gate(node)
    hasty = Callers(broker, 0.4)
    uuids = [new_instance(database) for _ in range(15)]
    gate.is_open.clear()
    for _ in range(6):
        for uuid in uuids:
            hasty.allocate(uuid)
        hasty.wait()
    gate.is_open.set()
    api = rpc.NetworkAPI(broker, 20)
    eventually(lambda: calls(api), (0, 0))
    uuid = new_instance(database)
    answer = api.allocate_for_instance(CONTEXT, instance_id=uuid, host="node1")
    assert answer[0]["active"] is True
