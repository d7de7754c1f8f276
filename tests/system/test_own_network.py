"""Networks that are the host's own: refused, and nobody is cut off."""

import json
import sys

import pytest

from flatnet.exceptions import HostSetupError
from flatnet.lab import namespaces
from flatnet.lab.spec import CONTROL_ADDRESS, OUTSIDE_ADDRESS
from tests.system.rows import allocate, new_instance, new_network

LAN = f"{CONTROL_ADDRESS.rpartition('.')[0]}.0/24"
OUTSIDE = f"{OUTSIDE_ADDRESS.rpartition('.')[0]}.0/24"
STRANGER = "52:54:00:00:00:99"
# As flatnet marks what it sets.
SET_ADDRESS = """
import sys
from pyroute2 import IPRoute
with IPRoute() as netlink:
    (index,) = netlink.link_lookup(ifname="br100")
    netlink.addr("add", index=index, address=sys.argv[1], prefixlen=24,
                 proto=0xFA)
"""


@pytest.fixture
def lab(labs):
    return labs(nodes=1)


def bridge_addresses(node):
    links = json.loads(node.run("ip -j -4 addr"))
    return [
        each["local"]
        for link in links
        if link.get("ifname") == "br100"
        for each in link["addr_info"]
    ]


def reaches_broker(node):
    return node.attempt(f"ping -c1 -W5 {CONTROL_ADDRESS}").returncode == 0


@pytest.mark.parametrize(
    ("cidr", "device", "whose"),
    [
        (LAN, "eth0", f"{CONTROL_ADDRESS}, the broker"),
        (OUTSIDE, "eth2", f"{OUTSIDE_ADDRESS}, the default router"),
    ],
)
def test_a_lan_of_the_host_is_refused_and_nobody_is_cut_off(
    lab, cidr, device, whose
):
    node = lab.node(1)
    done = lab.attempt_cli("network", "create", "lan", "--cidr", cidr)
    assert done.returncode == 0
    if cidr == LAN:
        # The tool runs where the broker is, and sees that much.
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"flatnet: warning: network {LAN}")
        assert CONTROL_ADDRESS in line
    uuid = new_instance(lab, "vm_1", "node1")
    with pytest.raises(HostSetupError) as refusal:
        allocate(lab, uuid, "node1")
    text = str(refusal.value)
    assert "\n" not in text
    assert f"network {cidr} of br100 holds {whose} of this host" in text
    assert f"by {device}" in text
    assert bridge_addresses(node) == []
    assert reaches_broker(node)
    # It goes on to serve, and comes back.
    state = json.loads(lab.cli("host", "show", "node1", "-f", "json"))
    assert state["state"] == "degraded"
    node.stop_daemon()
    node.start_daemon()
    assert bridge_addresses(node) == []
    lab.rpc().call("deallocate_for_instance", instance_id=uuid, host="node1")
    lab.cli("network", "delete", "lan")
    new_network(lab)
    assert allocate(lab, uuid, "node1")


def test_a_brokers_address_that_was_taken_is_given_back_at_the_start(lab):
    """Or the daemon speaks to itself, and no row can tell it otherwise."""
    node = lab.node(1)
    node.stop_daemon()
    node.run("ip link add br100 up type bridge")
    node.run([sys.executable, "-c", SET_ADDRESS, CONTROL_ADDRESS])
    assert CONTROL_ADDRESS in bridge_addresses(node)
    node.start_daemon()
    assert bridge_addresses(node) == []
    assert reaches_broker(node)
    # Not by a pass, which needs the database.
    line = f"removed address {CONTROL_ADDRESS}/24: this host needs it"
    assert line in node.log_text
    assert lab.rpc().call("ping", arg="x", host="node1")


def test_an_address_of_the_segment_is_set_aside_and_the_next_taken(lab):
    switch = lab.spec.namespace("switch")
    namespaces.configure(
        switch,
        f"link set br0 address {STRANGER}",
        "addr add 10.0.0.1/24 dev br0",
        "addr add 10.0.0.3/24 dev br0",
    )
    new_network(lab)
    uuid = new_instance(lab, "vm_1", "node1")
    [vif] = allocate(lab, uuid, "node1")
    # Within the one call.
    assert vif["network"]["subnets"][0]["gateway"]["address"] == "10.0.0.4"
    assert bridge_addresses(lab.node(1)) == ["10.0.0.4"]
    guest = lab.guest("vm_1", node=lab.node(1), vif_uuid=vif["id"])
    assert guest.dhcp().address == "10.0.0.2"
    assert guest.ping("10.0.0.4")
    shown = json.loads(lab.cli("network", "show", "flat", "-f", "json"))
    assert set(shown["reserved"]) == {"10.0.0.1", "10.0.0.3"}
    assert STRANGER in shown["reserved"]["10.0.0.1"]
    assert shown["host_addresses"] == {"node1": "10.0.0.4"}


def test_a_machine_that_answers_for_all_is_named(lab):
    switch = lab.spec.namespace("switch")
    namespaces.configure(
        switch,
        f"link set br0 address {STRANGER}",
        *(f"addr add 10.0.0.{n}/24 dev br0" for n in range(1, 12)),
    )
    new_network(lab)
    uuid = new_instance(lab, "vm_1", "node1")
    for _ in range(2):
        with pytest.raises(HostSetupError, match=f"that of {STRANGER}"):
            allocate(lab, uuid, "node1")
    shown = json.loads(lab.cli("network", "show", "flat", "-f", "json"))
    assert len(shown["reserved"]) == 3
    namespaces.configure(switch, "addr flush dev br0")
    [vif] = allocate(lab, uuid, "node1")
    assert vif["active"]
