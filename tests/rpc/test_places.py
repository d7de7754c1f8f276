"""Where calls go, and what they answer of instances that are elsewhere."""

import threading

import pytest
from sqlalchemy import update
from test_rpc import (
    CONTEXT,
    addresses,
    api,
    broker,
    database,
    new_instance,
    node,
)

from flatnet import exceptions
from flatnet.db import bindings, interfaces, models, networks
from flatnet.endpoints.backlog import Dispatcher
from flatnet.rpc import NetworkAPI
from flatnet.state.scope import EVERYTHING
from tests.db.conftest import a_daemon, silent
from tests.rpc.daemons import Node

__all__ = ("api", "broker", "database", "node")


@pytest.fixture
def other(broker, database):
    node = Node("node2", database, broker)
    yield node
    node.stop()


def change(database, uuid, **values):
    """Write to the row of an instance as its owner does."""
    table = models.instances
    statement = update(table).where(table.c.uuid == uuid).values(values)
    database.write(lambda c: c.execute(statement).rowcount)


def bound(database, uuid):
    return {
        host: (binding.wanted, binding.found)
        for host, binding in bindings.list_all(database, uuid=uuid)
    }


def ports(node):
    """The instances that a host has ports of, by its last plan."""
    return [
        port.instance_uuid
        for bridge in node.applier.plan.bridges
        for port in bridge.ports
    ]


def test_allocation_goes_to_the_host_of_the_row(api, other, node, database):
    uuid = new_instance(database, host="node2")
    (vif,) = api.allocate_for_instance(CONTEXT, instance_id=uuid, host="node1")
    assert vif["active"] is True
    assert bound(database, uuid) == {"node2": ("serving", "up")}
    assert ports(other) == [uuid]


def test_allocation_for_a_host_that_nobody_knows_is_refused(api, database):
    uuid = new_instance(database, host="node7")
    with pytest.raises(exceptions.HostNotFound, match="node7"):
        api.allocate_for_instance(CONTEXT, instance_id=uuid, host="node1")
    assert interfaces.of_instance(database, uuid) == ()


def test_active_is_what_the_host_of_the_row_made(api, node, other, database):
    uuid = new_instance(database)
    wanted = {"instance_id": uuid, "host": "node1"}
    node.applier.refused = (uuid,)
    with pytest.raises(exceptions.HostSetupError):
        api.allocate_for_instance(CONTEXT, **wanted)
    asked = {"instance_id": uuid, "host": "node2"}
    (vif,) = api.get_instance_nw_info(CONTEXT, **asked)
    assert vif["active"] is False
    node.applier.refused = ()
    api.allocate_for_instance(CONTEXT, **wanted)
    (vif,) = api.get_instance_nw_info(CONTEXT, **asked)
    assert vif["active"] is True
    # Its last pass failed, so nobody vouches for it.
    a_daemon(database, "node1", state="failed")
    (vif,) = api.get_instance_nw_info(CONTEXT, **asked)
    assert vif["active"] is False
    # It moved without a call, and its new host has not looked yet.
    change(database, uuid, host="node3")
    (vif,) = api.get_instance_nw_info(CONTEXT, **asked)
    assert vif["active"] is False


def test_a_host_is_made_ready_for_an_instance_of_another(
    api, node, other, database
):
    uuid = new_instance(database)
    before = api.allocate_for_instance(CONTEXT, instance_id=uuid, host="node1")
    there = {"instance_id": uuid, "host": "node2"}
    api.setup_networks_on_host(CONTEXT, **there)
    assert ports(node) == ports(other) == [uuid]
    assert bound(database, uuid)["node2"] == ("arriving", "up")
    # Abandoned.
    api.setup_networks_on_host(CONTEXT, **there, teardown=True)
    assert ports(other) == []
    assert bound(database, uuid) == {"node1": ("serving", "up")}
    # Once more, and now it moves.
    api.setup_networks_on_host(CONTEXT, **there)
    change(database, uuid, host="node2")
    api.setup_networks_on_host(
        CONTEXT, instance_id=uuid, host="node1", teardown=True
    )
    api.setup_networks_on_host(CONTEXT, **there)
    assert (ports(node), ports(other)) == ([], [uuid])
    assert bound(database, uuid) == {"node2": ("serving", "up")}
    after = api.get_instance_nw_info(CONTEXT, **there)
    assert addresses(after) == addresses(before)
    assert after[0]["active"] is True


def test_a_repeat_answers_what_the_instance_has(api, database):
    uuid = new_instance(database)
    wanted = {"instance_id": uuid, "host": "node1"}
    first = api.allocate_for_instance(CONTEXT, **wanted)
    networks.create(
        database, label="second", cidr="10.1.0.0/24", bridge="br101"
    )
    again = api.allocate_for_instance(CONTEXT, **wanted)
    assert [vif["id"] for vif in again] == [vif["id"] for vif in first]
    assert addresses(again) == addresses(first)


def test_a_network_named_twice_gives_two_interfaces(api, database):
    uuid = new_instance(database)
    (network,) = networks.list_all(database)
    twice = [[network.uuid, None], [network.uuid.upper(), "10.0.0.9"]]
    api.validate_networks(CONTEXT, networks=twice)
    answer = api.allocate_for_instance(
        CONTEXT, instance_id=uuid, host="node1", requested_networks=twice
    )
    assert [addresses([vif]) for vif in answer] == [["10.0.0.2"], ["10.0.0.9"]]


@pytest.mark.parametrize("named", ["id", "UUID", "uuid", "deleted"])
def test_deallocation_by_any_name(api, node, database, named):
    uuid = new_instance(database)
    api.allocate_for_instance(CONTEXT, instance_id=uuid, host="node1")
    reference = uuid.upper() if named == "UUID" else uuid
    if named in ("id", "deleted"):
        ids = models.instances.select()
        reference = database.read(lambda c: c.execute(ids).one().id)
    if named == "deleted":
        change(database, uuid, deleted=1)
    answer = api.deallocate_for_instance(
        CONTEXT, instance_id=reference, host="node1"
    )
    assert answer is None
    assert interfaces.of_instance(database, uuid) == ()
    assert bound(database, uuid) == {}
    assert ports(node) == []
    assert api.deallocate_for_instance(CONTEXT, instance_id="9999999") is None


def test_deallocation_is_done_by_whoever_is_asked(api, node, other, database):
    uuid = new_instance(database, host="node2")
    api.allocate_for_instance(CONTEXT, instance_id=uuid, host="node2")
    for _ in range(3):
        # Either of them takes it from the queue.
        assert api.deallocate_for_instance(CONTEXT, instance_id=uuid) is None
    assert ports(other) == []
    assert bound(database, uuid) == {}


def test_a_port_that_did_not_go_is_no_success(api, node, database):
    uuid = new_instance(database)
    api.allocate_for_instance(CONTEXT, instance_id=uuid, host="node1")
    node.applier.refused = (uuid,)
    with pytest.raises(exceptions.HostSetupError, match="no room"):
        api.deallocate_for_instance(CONTEXT, instance_id=uuid)
    assert interfaces.of_instance(database, uuid) == ()


def test_a_dead_host_frees_addresses_and_follows_later(
    api, node, other, broker, database
):
    uuid = new_instance(database, host="node2")
    api.allocate_for_instance(CONTEXT, instance_id=uuid, host="node2")
    other.stop()
    a_daemon(database, "node2", state="stopped")
    answer = api.deallocate_for_instance(
        CONTEXT, instance_id=uuid, host="node2"
    )
    assert answer["followed"] is False
    assert "host node2 is stopped" in answer["hosts"]["node2"]
    assert interfaces.of_instance(database, uuid) == ()
    assert bound(database, uuid) == {"node2": ("gone", None)}
    back = Node("node2", database, broker)
    try:
        back.reconciler.ask_and_wait(20, EVERYTHING)
        assert bound(database, uuid) == {}
    finally:
        back.stop()
    assert api.deallocate_for_instance(CONTEXT, instance_id=uuid) is None


def test_a_frozen_daemon_keeps_nobody_from_being_freed(
    broker, api, other, node, database, monkeypatch
):
    """It still takes its share of what anybody may answer."""
    goes_on = threading.Event()
    answered = Dispatcher.dispatch
    met = []

    def frozen(self, incoming):
        if self is other.dispatcher:
            met.append(incoming)
            goes_on.wait(30)
        return answered(self, incoming)

    uuids = [new_instance(database) for _ in range(3)]
    for uuid in uuids:
        api.allocate_for_instance(CONTEXT, instance_id=uuid, host="node1")
    monkeypatch.setattr(Dispatcher, "dispatch", frozen)
    try:
        hasty = NetworkAPI(broker, 6)
        for uuid in uuids:
            hasty.deallocate_for_instance(CONTEXT, instance_id=uuid)
            assert interfaces.of_instance(database, uuid) == ()
    finally:
        goes_on.set()
    assert met


@pytest.mark.parametrize("state", ["stopped", "ready"])
def test_a_dead_host_is_named_and_not_waited_for(api, node, database, state):
    """Its queue is there and would take the call."""
    a_daemon(database, "node2", state=state)
    if state == "ready":
        silent(database, 60)
        state = "stale"
    uuid = new_instance(database, host="node2")
    with pytest.raises(exceptions.BrokerUnavailable) as caught:
        api.allocate_for_instance(CONTEXT, instance_id=uuid, host="node1")
    assert f"host node2 is {state}" in str(caught.value)
    assert "reported last at" in str(caught.value)
    assert interfaces.of_instance(database, uuid) == ()
    with pytest.raises(exceptions.BrokerUnavailable, match=state):
        api._call(
            CONTEXT,
            "setup_networks_on_host",
            {"instance_id": uuid, "host": "node2"},
        )


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_late_allocation_leaks_no_address(api, node, database, when):
    """Its caller gave up, deallocated and deleted the instance."""
    uuid = new_instance(database)
    wanted = {"instance_id": uuid, "host": "node1"}
    if when == "before":
        change(database, uuid, deleted=1)
        with pytest.raises(exceptions.InstanceNotFound):
            api.allocate_for_instance(CONTEXT, **wanted)
    else:
        api.allocate_for_instance(CONTEXT, **wanted)
        change(database, uuid, deleted=1)
    node.reconciler.ask_and_wait(20, EVERYTHING)
    assert interfaces.of_instance(database, uuid) == ()
    table = models.fixed_ips
    held = table.select().where(table.c.instance_uuid.is_not(None))
    assert database.read(lambda c: c.execute(held).all()) == []
    assert ports(node) == []


def test_a_hostname_is_no_name_of_an_instance(api, node, database):
    """It is a tenant's choice: it may be the id that another one had."""
    uuid = new_instance(database)
    api.allocate_for_instance(CONTEXT, instance_id=uuid, host="node1")
    for name in ("vm_1", "4711"):
        change(database, uuid, hostname=name)
        for call in (
            api.allocate_for_instance,
            api.get_instance_nw_info,
            api.setup_networks_on_host,
        ):
            with pytest.raises(exceptions.InstanceNotFound, match=name):
                call(CONTEXT, instance_id=name, host="node1")
    # A null would be taken for an answer that it has nothing any more.
    with pytest.raises(exceptions.InstanceNotFound, match="vm_2"):
        api.deallocate_for_instance(CONTEXT, instance_id="vm_2")
    assert len(interfaces.of_instance(database, uuid)) == 1
