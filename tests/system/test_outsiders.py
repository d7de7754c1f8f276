"""What an operator is told of ports and addresses that are not as planned."""

import json
import socket

import pytest

from flatnet.lab.spec import BRIDGE
from tests.kernel.dhcp_hosts import DECLINE, ask
from tests.kernel.namespaces import Namespace
from tests.system.cloud import eventually
from tests.system.rows import allocate, new_instance, new_network

SERVER = "10.0.0.1"


def shown(lab, *path):
    """A part of what `flatnet host show` prints of node1."""
    state = json.loads(lab.cli("host", "show", "node1", "-f", "json"))
    for key in path:
        state = state[key]
    return state


def active(lab, uuid, host):
    [vif] = lab.rpc().call("get_instance_nw_info", instance_id=uuid, host=host)
    return vif["active"]


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_device_of_another_name_is_closed_and_told(labs, nodes):
    """As libvirt makes them: the instance is not active by it."""
    lab = labs(nodes=nodes, vif_plug="external")
    node = lab.node(1)
    new_network(lab)
    uuid = new_instance(lab, "vm_1", "node1")
    [vif] = allocate(lab, uuid, "node1")
    assert vif["active"] is False
    node.run("ip link add vnet0 type veth peer name far0")
    node.run(f"ip link set vnet0 master {BRIDGE} up")
    eventually(
        lambda: any(
            line.startswith(f"port vnet0 of {BRIDGE} is closed")
            for line in shown(lab, "warnings")
        ),
        True,
    )
    assert "vnet0" in node.run("nft list set bridge flatnet closed")
    # By whichever host one asks.
    asked = [f"node{number + 1}" for number in range(nodes)]
    assert [active(lab, uuid, host) for host in asked] == [False] * nodes
    node.run(f"ip link set vnet0 down name {vif['devname']}")
    node.run(f"ip link set {vif['devname']} up")
    eventually(
        lambda: [active(lab, uuid, host) for host in asked], [True] * nodes
    )
    assert shown(lab, "warnings") == []


def declines(mac, lease):
    return ask(
        mac,
        kind=DECLINE,
        options=bytes((50, 4))
        + socket.inet_aton(lease.address)
        + bytes((54, 4))
        + socket.inet_aton(lease.server),
        patience=0.1,
    )


def test_what_a_guest_declined_is_shown_and_served_again(labs):
    lab = labs(nodes=1)
    node = lab.node(1)
    new_network(lab)
    uuid = new_instance(lab, "vm_1", "node1")
    [vif] = allocate(lab, uuid, "node1")
    guest = lab.guest("vm_1", node=node, vif_uuid=vif["id"])
    lease = guest.dhcp()
    space = Namespace(lab.spec.namespace("vm_1"))
    told = [
        {"bridge": BRIDGE, "address": lease.address, "mac": vif["address"]}
    ]
    space.call(declines, vif["address"], lease)
    eventually(lambda: shown(lab, "declined"), told)
    allocate(lab, uuid, "node1")
    assert shown(lab, "declined") == []
    assert guest.dhcp().address == lease.address
    # Whoever comes or goes, dnsmasq reads its files and withholds nothing.
    space.call(declines, vif["address"], lease)
    eventually(lambda: shown(lab, "declined"), told)
    allocate(lab, new_instance(lab, "vm_2", "node1"), "node1")
    assert shown(lab, "declined") == []
    assert guest.dhcp().address == lease.address
