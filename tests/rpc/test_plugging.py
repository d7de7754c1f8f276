"""Interfaces unplugged and plugged in again, over RPC."""

import uuid

import pytest
from test_addresses import leased
from test_places import change, other
from test_rpc import CONTEXT, api, broker, database, new_instance, node

from flatnet import exceptions

__all__ = ("api", "broker", "database", "node", "other")


@pytest.fixture
def there(api, database, other):
    """The uuid of an instance on node2 with a port."""
    mine = new_instance(database, "node2")
    api.allocate_for_instance(CONTEXT, instance_id=mine, host="node2")
    return mine


def ports(node):
    """How each planned port is to be."""
    (bridge,) = node.applier.plan.bridges
    return [port.stays for port in bridge.ports]


def test_the_host_of_the_row_does_it_whoever_is_asked(api, node, other, there):
    for host in ("node1", "node2", None):
        answer = api.unplug_vifs(CONTEXT, instance_id=there, host=host)
        assert [each["active"] for each in answer] == [False]
        assert (ports(other), leased(other)) == (["unplugged"], [])
        again = api.allocate_for_instance(
            CONTEXT, instance_id=there, host="node2"
        )
        assert (again, ports(other)) == (answer, ["unplugged"])
        api.setup_networks_on_host(CONTEXT, instance_id=there, host="node2")
        api.reconcile(CONTEXT, host="node2")
        assert ports(other) == ["unplugged"]
        answer = api.plug_vifs(CONTEXT, instance_id=there, host=host)
        assert [each["active"] for each in answer] == [True]
        assert (ports(other), leased(other)) == (["always"], ["10.0.0.2"])
    assert api.plug_vifs(CONTEXT, instance_id=there) == answer


def test_it_goes_along_with_an_instance(api, node, other, database, there):
    """Also where its row is moved and nobody is told."""
    api.unplug_vifs(CONTEXT, instance_id=there)
    change(database, there, host="node1")
    api.setup_networks_on_host(CONTEXT, instance_id=there, host="node1")
    assert ports(node) == ["unplugged"]
    api.plug_vifs(CONTEXT, instance_id=there)
    assert ports(node) == ["always"]


def test_nobody_is_not_found(api, there):
    for call in (api.plug_vifs, api.unplug_vifs):
        for name in (str(uuid.uuid4()), 10**9, ""):
            with pytest.raises(exceptions.InstanceNotFound):
                call(CONTEXT, instance_id=name)
