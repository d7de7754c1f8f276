"""What nova-network did wrong between its hosts to its end, over RPC."""

import oslo_messaging as messaging
import pytest
from test_places import change, other, ports
from test_rpc import (
    CONTEXT,
    addresses,
    api,
    broker,
    database,
    new_instance,
    node,
)

from flatnet.db import instances

__all__ = ("api", "broker", "database", "node", "other")


@pytest.fixture
def client(broker, node):
    target = messaging.Target(topic="network", version="1.0")
    return messaging.get_rpc_client(broker, target, timeout=20)


def test_no_call_between_hosts_is_one_that_the_broker_forbids(
    api, client, node, other, database
):
    """nova's began with `_`, and no server of nova's answered these."""
    uuid = new_instance(database, host="node2")
    asked = {"instance_id": uuid, "host": "node2", "project_id": "blue"}
    answer = client.prepare(server="node1").call(
        CONTEXT, "allocate_for_instance", **asked
    )
    assert addresses(answer) == ["10.0.0.2"]
    assert uuid in ports(other)
    with pytest.raises(messaging.RemoteError) as unknown:
        client.call(
            CONTEXT, "_rpc_allocate_fixed_ip", instance_id=uuid, network_id=1
        )
    assert unknown.value.exc_type == "NoSuchMethod"


def test_a_lease_is_released_without_the_host_that_booted_the_guest(
    api, node, database
):
    """nova asked `launched_on`, and waited for it in vain."""
    uuid = new_instance(database, host="node1")
    api.allocate_for_instance(CONTEXT, instance_id=uuid, host="node1")
    change(database, uuid, host="another")
    api.deallocate_for_instance(CONTEXT, instance_id=uuid, host="another")
    assert (
        api.get_instance_nw_info(CONTEXT, instance_id=uuid, host="node1") == []
    )
    assert instances.get(database, uuid).host == "another"
