"""Single addresses over RPC, as nova's clients add and remove them."""

import uuid

import oslo_messaging as messaging
import pytest
from test_places import other
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
from flatnet.db import memberships, networks, security_groups
from tests.waiting import eventually

__all__ = ("api", "broker", "database", "node", "other")


@pytest.fixture
def served(api, database):
    """How calls name an instance that has its first address."""
    here = {"instance_id": new_instance(database), "host": "node1"}
    api.allocate_for_instance(CONTEXT, **here)
    return here


@pytest.fixture
def network(database):
    return networks.get(database, "private")


def ports(node):
    """The addresses of each port that was planned."""
    (bridge,) = node.applier.plan.bridges
    return [port.addresses for port in bridge.ports]


def leased(node):
    (server,) = node.applier.plan.dhcp_servers
    return [host.address for host in server.hosts]


def test_an_address_comes_and_goes(api, node, served, network):
    answer = api.add_fixed_ip_to_instance(
        CONTEXT, **served, network_id=network.uuid
    )
    assert addresses(answer) == ["10.0.0.2", "10.0.0.3"]
    assert [each["active"] for each in answer] == [True]
    assert api.get_instance_nw_info(CONTEXT, **served) == answer
    assert ports(node) == [("10.0.0.2", "10.0.0.3")]
    assert leased(node) == ["10.0.0.2"]
    # Asked again for what it has, it has it.
    assert api.allocate_for_instance(CONTEXT, **served) == answer
    answer = api.remove_fixed_ip_from_instance(
        CONTEXT, **served, address="10.0.0.2"
    )
    assert addresses(answer) == ["10.0.0.3"]
    assert ports(node) == [("10.0.0.3",)]
    assert leased(node) == ["10.0.0.3"]
    api.deallocate_for_instance(CONTEXT, **served)
    assert api.get_instance_nw_info(CONTEXT, **served) == []


def test_an_interface_stays_without_its_last_address(api, node, served):
    answer = api.remove_fixed_ip_from_instance(
        CONTEXT, **served, address="10.0.0.2"
    )
    assert len(answer) == 1
    assert addresses(answer) == []
    assert ports(node) == [()]
    assert leased(node) == []


@pytest.mark.parametrize("version", ["1.0", "1.9"])
def test_novas_callers_ask_any_host(
    api, broker, database, network, other, version
):
    """With all that they send, by integer ids, and for another host."""
    target = messaging.Target(topic="network", version="1.0")
    client = messaging.get_rpc_client(broker, target, timeout=20)
    caller = client.prepare(version=version, server="node1")
    here = {"instance_id": new_instance(database, "node2"), "host": "node2"}
    given = {**here, "rxtx_factor": 1.0}
    api.allocate_for_instance(CONTEXT, **here)
    answer = caller.call(
        CONTEXT, "add_fixed_ip_to_instance", **given, network_id=network.id
    )
    assert addresses(answer) == ["10.0.0.2", "10.0.0.3"]
    assert ports(other) == [("10.0.0.2", "10.0.0.3")]
    answer = caller.call(
        CONTEXT, "remove_fixed_ip_from_instance", **given, address="10.0.0.3"
    )
    assert addresses(answer) == ["10.0.0.2"]
    assert ports(other) == [("10.0.0.2",)]


def test_what_cannot_be_is_named(api, database, served, network):
    add, remove = (
        api.add_fixed_ip_to_instance,
        api.remove_fixed_ip_from_instance,
    )
    nobody = str(uuid.uuid4())
    with pytest.raises(exceptions.NetworkNotFound, match=nobody):
        add(CONTEXT, **served, network_id=nobody)
    with pytest.raises(exceptions.InvalidInput, match="network_id"):
        add(CONTEXT, **served, network_id=None)
    with pytest.raises(exceptions.InstanceNotFound):
        add(CONTEXT, instance_id=nobody, host="node1", network_id=network.uuid)
    for each in ("10.0.0.3", "rubbish", "10.0.0.1"):
        with pytest.raises(
            exceptions.FixedIpNotFoundForSpecificInstance, match=each
        ):
            remove(CONTEXT, **served, address=each)
    with pytest.raises(exceptions.InvalidInput, match="address"):
        remove(CONTEXT, **served, address="")
    with pytest.raises(exceptions.InstanceNotFound):
        remove(CONTEXT, instance_id=nobody, host="node1", address="10.0.0.2")
    answer = api.get_instance_nw_info(CONTEXT, **served)
    assert addresses(answer) == ["10.0.0.2"]


def test_other_hosts_hear_of_a_members_addresses(
    api, database, served, network, other
):
    theirs = {"instance_id": new_instance(database, "node2")}
    group = security_groups.create(database, name="web", project_id="blue")
    for each in (served, theirs):
        memberships.add_instance(
            database, group=str(group.id), instance=each["instance_id"]
        )
    security_groups.create_rule(database, group="web", source_group="web")
    api.allocate_for_instance(CONTEXT, **theirs, host="node2")

    def known():
        filtering = other.applier.plan.filter
        return {a for each in filtering.members for a in each.addresses}

    assert "10.0.0.2" in known()
    api.add_fixed_ip_to_instance(CONTEXT, **served, network_id=network.uuid)
    more = known() | {"10.0.0.5"}
    eventually(lambda: known() == more, seconds=20)
    api.remove_fixed_ip_from_instance(CONTEXT, **served, address="10.0.0.2")
    eventually(lambda: known() == more - {"10.0.0.2"}, seconds=20)
