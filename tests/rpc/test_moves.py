"""Moves as nova's services announce them, over RPC."""

import uuid

import oslo_messaging as messaging
import pytest
from test_places import change, other
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
from flatnet.db import bindings

__all__ = ("api", "broker", "database", "node", "other")
WAY = {"source": "node1", "dest": "node2"}


@pytest.fixture
def nodes(node, other):
    return node, other


@pytest.fixture
def moving(api, database):
    """The uuid of an instance on node1 with a port."""
    uuid = new_instance(database, "node1")
    api.allocate_for_instance(CONTEXT, instance_id=uuid, host="node1")
    return uuid


def ports(node):
    """Whose ports a host makes or keeps."""
    return {
        port.instance_uuid
        for bridge in node.applier.plan.bridges
        for port in bridge.ports
    }


def moves(node):
    """Whose guests a host hears by its uplink too."""
    return {
        port.instance_uuid
        for port in node.applier.plan.guard.ports
        if port.moves
    }


def wanted(database, uuid):
    found = bindings.list_all(database, uuid=uuid)
    return {host: each.wanted for host, each in found}


def test_a_live_migration_in_novas_order(api, nodes, database, moving):
    """By what nova sends to whom, with all that it sends."""
    source, dest = nodes
    here = {"instance_id": moving}
    api.setup_networks_on_host(CONTEXT, **here, host="node2")
    assert moving in ports(dest)
    assert (moves(source), moves(dest)) == (set(), {moving})
    api.migrate_instance_start(CONTEXT, instance_uuid=moving, **WAY)
    assert moves(source) == moves(dest) == {moving}
    api.setup_networks_on_host(CONTEXT, **here, host="node2")
    api.migrate_instance_finish(CONTEXT, instance_uuid=moving, **WAY)
    assert moving in ports(source)
    assert moving in ports(dest)
    change(database, moving, host="node2")
    api.setup_networks_on_host(CONTEXT, **here, host="node1", teardown=True)
    api.setup_networks_on_host(CONTEXT, **here, host="node2")
    assert moving not in ports(source)
    assert moving in ports(dest)
    assert wanted(database, moving)["node2"] == "serving"
    assert moves(dest) == set()
    answer = api.get_instance_nw_info(CONTEXT, **here, host="node2")
    assert addresses(answer) == ["10.0.0.2"]
    assert [vif["active"] for vif in answer] == [True]


def test_a_move_that_was_given_up_is_not_begun_again(
    api, nodes, database, moving
):
    """nova's revert tears the destination down, and then starts once more."""
    source, dest = nodes
    here = {"instance_id": moving}
    api.setup_networks_on_host(CONTEXT, **here, host="node2")
    api.setup_networks_on_host(CONTEXT, **here, host="node2", teardown=True)
    api.migrate_instance_start(CONTEXT, instance_uuid=moving, **WAY)
    api.migrate_instance_finish(CONTEXT, instance_uuid=moving, **WAY)
    assert wanted(database, moving).get("node2") in (None, "gone")
    assert moving not in ports(dest)
    # And finishes where it was.
    back = {"source": "node1", "dest": "node1"}
    api.migrate_instance_finish(CONTEXT, instance_uuid=moving, **back)
    assert moving in ports(source)


def test_a_move_that_is_given_up_once_begun_is_undone(
    api, nodes, database, moving
):
    source, dest = nodes
    here = {"instance_id": moving, "host": "node2"}
    api.setup_networks_on_host(CONTEXT, **here)
    api.migrate_instance_start(CONTEXT, instance_uuid=moving, **WAY)
    assert wanted(database, moving)["node1"] == "leaving"
    api.setup_networks_on_host(CONTEXT, **here, teardown=True)
    assert wanted(database, moving)["node1"] == "serving"
    assert moves(source) == set()
    assert moving in ports(source)
    assert moving not in ports(dest)


@pytest.mark.parametrize("server", ["node1", "node2"])
def test_any_host_may_be_asked(api, broker, nodes, database, moving, server):
    target = messaging.Target(topic="network", version="1.0")
    client = messaging.get_rpc_client(broker, target, timeout=20)
    caller = client.prepare(version="1.2", server=server)
    api.setup_networks_on_host(CONTEXT, instance_id=moving, host="node2")
    change(database, moving, host="node2")
    for name in ("migrate_instance_start", "migrate_instance_finish"):
        answer = caller.call(
            CONTEXT,
            name,
            instance_uuid=moving,
            rxtx_factor=1.0,
            project_id="blue",
            floating_addresses=None,
            **WAY,
        )
        assert answer is None
    assert wanted(database, moving)["node2"] == "serving"
    assert moving in ports(nodes[1])


@pytest.mark.usefixtures("other")
def test_who_is_nobody_is_named(api):
    nobody = str(uuid.uuid4())
    with pytest.raises(exceptions.InstanceNotFound, match=nobody):
        api.migrate_instance_start(CONTEXT, instance_uuid=nobody, **WAY)
    with pytest.raises(exceptions.InstanceNotFound, match=nobody):
        api.migrate_instance_finish(CONTEXT, instance_uuid=nobody, **WAY)


@pytest.mark.parametrize("rubbish", [None, "", ["node2"], "no\0de"])
def test_a_move_goes_somewhere(api, moving, rubbish):
    way = {"source": "node1", "dest": rubbish}
    with pytest.raises(exceptions.InvalidInput, match="names no dest"):
        api.migrate_instance_start(CONTEXT, instance_uuid=moving, **way)
    asked = {"instance_uuid": moving, **way}
    with pytest.raises(exceptions.InvalidInput, match="names no dest"):
        api._call(CONTEXT, "migrate_instance_finish", asked, host="node1")
