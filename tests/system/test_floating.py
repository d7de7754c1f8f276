"""Floating addresses on two nodes: real guests, by packets."""

import contextlib
from dataclasses import replace

import pytest

from flatnet.lab.spec import OUTSIDE_ADDRESS
from tests import sockets
from tests.system.cloud import clouds, eventually

POOL, FLOATING = "198.51.100.128/28", "198.51.100.129"
FLOATS = "floating"


@pytest.fixture(scope="module")
def cloud():
    """All guests have their leases, and vm_1 a floating address."""
    with clouds() as cloud:
        cloud.guests = {
            name: replace(placed, lease=placed.guest.dhcp())
            for name, placed in cloud.guests.items()
        }
        cli = cloud.lab.cli
        cli(FLOATS, "pool", "create", "nova", "--cidr", POOL)
        cli(FLOATS, "allocate", "nova", "--project", "blue")
        cli(FLOATS, "associate", FLOATING, cloud.guests["vm_1"].address)
        with cloud.group(
            "web",
            "vm_1",
            protocol="tcp",
            from_port=22,
            to_port=22,
            cidr="0.0.0.0/0",
        ):
            yield cloud


@pytest.fixture
def lab(cloud):
    """For the report of a failure."""
    return cloud.lab


def asks(cloud, name, *ports):
    """The ports of the floating address that answer somebody."""
    targets = {("tcp", FLOATING, port) for port in ports}
    answers = sockets.answered(cloud.namespaces[name], targets)
    return {port for _, _, port in answers}


@contextlib.contextmanager
def connected(cloud, namespace):
    """Both ends of a connection from outside to the floating address."""
    server = sockets.listener(namespace, 22)
    outside = cloud.namespaces["outside"]
    with server:
        ends = sockets.connection(outside, (FLOATING, 22), server)
        with ends[0], ends[1]:
            yield ends


def source_of(cloud, namespace):
    """Where what a guest begins comes from, as is seen outside."""
    with sockets.listener(cloud.namespaces["outside"], 8022) as server:
        near, far = sockets.connection(
            namespace, (OUTSIDE_ADDRESS, 8022), server
        )
        with near, far:
            return far.getpeername()[0]


def test_it_leads_in_and_out_and_back(cloud, lab):
    eventually(lambda: asks(cloud, "outside", 22, 23), {22})
    for name in ("vm_1", "vm_2", "vm_3", "node1", "node2"):
        assert asks(cloud, name, 22, 23) == {22}, name
    guest = cloud.guests["vm_1"].guest
    assert source_of(cloud, guest.namespace) == FLOATING
    others = cloud.guests["vm_2"].guest
    assert source_of(cloud, others.namespace) != FLOATING


def test_what_others_took_away_comes_back(cloud, lab):
    node = cloud.guests["vm_1"].node
    node.run(f"ip addr del {FLOATING}/32 dev eth2")
    eventually(lambda: asks(cloud, "outside", 22), {22})
    node.run("iptables -t nat -F flatnet-float-snat")
    guest = cloud.guests["vm_1"].guest
    eventually(lambda: source_of(cloud, guest.namespace), FLOATING)


def test_it_moves_with_its_guest_and_is_cut_with_it(cloud, lab):
    placed = cloud.guests["vm_1"]
    source, dest = lab.node(1), lab.node(2)
    here = {"instance_id": placed.uuid}
    way = {"instance_uuid": placed.uuid, "source": "node1", "dest": "node2"}
    call = lab.rpc().call
    (vif,) = call("get_instance_nw_info", **here, host="node1")
    (ip,) = vif["network"]["subnets"][0]["ips"]
    assert [each["address"] for each in ip["floating_ips"]] == [FLOATING]
    call("setup_networks_on_host", **here, host="node2")
    assert FLOATING not in dest.run("ip addr show dev eth2")
    call("migrate_instance_start", **way)
    placed.guest.remove()
    call("setup_networks_on_host", **here, host="node1", teardown=True)
    guest = lab.guest("moved", node=dest, vif_uuid=vif["id"])
    call("migrate_instance_finish", **way)
    cloud.sql(
        "UPDATE instances SET host = ? WHERE uuid = ?", ("node2", placed.uuid)
    )
    call("migrate_instance_finish", **way)
    assert FLOATING in dest.run("ip addr show dev eth2")
    assert FLOATING not in source.run("ip addr show dev eth2")
    assert FLOATING not in source.run("iptables-save -t nat")
    assert guest.dhcp().address == placed.address
    eventually(lambda: asks(cloud, "outside", 22, 23), {22})
    assert source_of(cloud, guest.namespace) == FLOATING
    with connected(cloud, guest.namespace) as (near, far):
        assert sockets.passes(near, far)
        lab.cli(FLOATS, "disassociate", FLOATING)
        assert FLOATING not in dest.run("conntrack -L")
        assert not sockets.passes(near, far, patience=0.5)
    assert FLOATING not in dest.run("ip addr show dev eth2")
    assert asks(cloud, "vm_4", 22) == set()
    assert source_of(cloud, guest.namespace) != FLOATING
