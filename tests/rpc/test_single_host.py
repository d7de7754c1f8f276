"""Instances whose network another host serves, which is asked to follow."""

import pytest
from sqlalchemy import update
from test_places import other, ports
from test_rpc import CONTEXT, api, broker, database, new_instance, node

from flatnet.db import models
from flatnet.exceptions import HostSetupError
from flatnet.state.scope import EVERYTHING
from tests.db.conftest import a_daemon, silent
from tests.waiting import eventually

__all__ = ("api", "broker", "database", "node", "other")


@pytest.fixture
def shared(database):
    """The network is one that node2 serves."""
    serve(database, "node2")


def serve(database, host):
    values = {"multi_host": False, "host": host}
    statement = update(models.networks).values(values)
    database.write(lambda c: c.execute(statement).rowcount)


def served(node):
    """Those that a host's DHCP server knows, by its last plan."""
    if node.applier.parts is None:
        return []
    return [
        host.instance_uuid
        for server in node.applier.plan.dhcp_servers
        for host in server.hosts
    ]


def gateways(information):
    return [
        vif["network"]["subnets"][0]["gateway"]["address"]
        for vif in information
    ]


def test_the_server_knows_who_was_answered(api, shared, other, node, database):
    uuid = new_instance(database)
    here = {"instance_id": uuid, "host": "node1"}
    info = api.allocate_for_instance(CONTEXT, **here)
    (vif,) = info
    assert vif["active"] is True
    assert (served(other), ports(other)) == ([uuid], [])
    assert (served(node), ports(node)) == ([], [uuid])
    assert gateways(info) == [other.applier.plan.dhcp_servers[0].address]
    for host in ("node1", "node2"):
        again = api.get_instance_nw_info(CONTEXT, instance_id=uuid, host=host)
        assert again == info
    (subnet, _) = vif["network"]["subnets"]
    address = subnet["ips"][0]["address"]
    api.remove_fixed_ip_from_instance(CONTEXT, **here, address=address)
    assert served(other) == []
    api.add_fixed_ip_to_instance(CONTEXT, **here, network_id=1)
    assert served(other) == [uuid]
    api.deallocate_for_instance(CONTEXT, **here)
    assert served(other) == []


def test_a_server_that_is_away_is_told_of(api, shared, node, database):
    uuid = new_instance(database)
    here = {"instance_id": uuid, "host": "node1"}
    a_daemon(database, "node2")
    silent(database, 4000)
    with pytest.raises(HostSetupError, match=r"host node2: .*; it follows"):
        api.allocate_for_instance(CONTEXT, **here)
    assert ports(node) == [uuid]
    serve(database, "node1")
    (vif,) = api.allocate_for_instance(CONTEXT, **here)
    assert (vif["active"], served(node)) == (True, [uuid])


def test_a_role_that_was_moved_is_heard_of(api, shared, other, node, database):
    uuid = new_instance(database)
    api.allocate_for_instance(CONTEXT, instance_id=uuid, host="node1")
    (network,) = node.reconciler.last.bridges
    serve(database, "node1")
    told = {"network_uuids": [network.network_uuid]}
    api.networks_changed(CONTEXT, **told)
    eventually(lambda: (served(node), served(other)) == ([uuid], []))


def test_who_finds_it_first_serves_it(api, other, node, database):
    serve(database, None)
    node.reconciler.ask_and_wait(20, EVERYTHING)
    other.reconciler.ask_and_wait(20, EVERYTHING)
    bridges = [each.reconciler.last.bridges for each in (node, other)]
    assert [bridge.address for (bridge,) in bridges[:1]] == ["10.0.0.1/24"]
    assert bridges[1] == ()
