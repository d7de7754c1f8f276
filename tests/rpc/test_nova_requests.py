"""What nova's services send, at each of their versions, and what they get.

Requests have the shape that each release gives them on the wire; answers are
compared whole.
"""

import json
from dataclasses import asdict

import oslo_messaging as messaging
import pytest
from test_places import other, ports
from test_rpc import broker, database, new_instance, node

from flatnet.db import instances, networks
from tests.rpc.nova_service import CAPS, CONTEXT, Nova, whole

__all__ = ("broker", "database", "node", "other")


@pytest.fixture(params=CAPS)
def nova(broker, node, database, request):
    uuid = new_instance(database)
    return Nova(broker, request.param, instances.get(database, uuid))


def test_the_life_of_an_instance(nova, node, other, database):
    """By every call of nova's, each answer whole."""
    network = networks.get(database, "private")
    found = nova.allocate((network.uuid, "10.0.0.9"))
    assert found == whole(found, network.uuid, "10.0.0.9")
    assert nova.allocate((network.uuid, "10.0.0.9")) == found
    # Whoever is asked.
    for server in ("node1", "node2"):
        assert nova.information(to=server) == found
    assert nova.set_up("node1") is None
    more = nova.add(network.uuid)
    assert more == whole(found, network.uuid, "10.0.0.9", "10.0.0.2")
    assert nova.add(str(network.id))[0]["id"] == found[0]["id"]
    for address in ("10.0.0.3", "10.0.0.2"):
        left = nova.remove(address)
    assert left == found
    assert nova.set_up("node2") is None
    assert ports(other) == ports(node)
    assert nova.migrate("start", "node2") is None
    assert nova.set_up("node2", teardown=True) is None
    assert nova.migrate("finish", "node2") is None
    assert ports(other) == []
    assert nova.deallocate() is None
    assert nova.deallocate() is None
    assert ports(node) == []
    assert nova.information() == []


def test_networks_as_nova_makes_and_names_them(nova, database):
    asked = json.loads("""{
     "label": "more", "cidr": "10.1.0.0/24", "multi_host": true,
     "num_networks": 1, "network_size": 256, "cidr_v6": null, "gateway": null,
     "gateway_v6": null, "bridge": "br200", "bridge_interface": "eth2",
     "dns1": null, "dns2": null, "fixed_cidr": null, "allowed_start": null,
     "allowed_end": null, "mtu": null, "dhcp_server": null,
     "enable_dhcp": true, "share_address": false, "project_id": null,
     "uuid": null, "vlan_start": null, "vpn_start": null}""")
    (made,) = nova.send("1.0", "create_networks", **asked)
    row = networks.get(database, "more")
    assert made == asdict(row)
    assert (row.cidr, row.bridge, row.bridge_interface) == (
        "10.1.0.0/24",
        "br200",
        "eth2",
    )
    for ip in (None, "10.1.0.9"):
        answer = nova.send(
            "1.0", "validate_networks", networks=[[made["uuid"], ip]]
        )
        assert answer is None
    gone = {"uuid": made["uuid"], "fixed_range": None}
    assert nova.send("1.0", "delete_network", **gone) is None
    assert len(networks.list_all(database)) == 1


def test_versions_of_novas_are_taken_up_to_its_last(nova, broker, node):
    for version in ("1.0", "1.9", "1.17"):
        assert nova.send(version, "validate_networks", networks=None) is None
    for version in ("1.18", "2.0"):
        with pytest.raises(messaging.RemoteError) as refused:
            nova.send(version, "validate_networks", networks=None)
        assert refused.value.exc_type == "UnsupportedVersion"
    target = messaging.Target(
        topic="network", namespace="baseapi", version="1.0"
    )
    client = messaging.get_rpc_client(broker, target, timeout=20)
    answer = client.prepare(server="node1").call(CONTEXT, "ping", arg=[1])
    assert answer == {"service": "network", "arg": [1]}
