"""More than one address, or interface, of a guest: real ones, by packets."""

import contextlib
from dataclasses import dataclass, replace

import pytest

from flatnet.db import instances, networks
from flatnet.db.engine import Database
from flatnet.exceptions import FixedIpNotFoundForSpecificInstance
from tests.system.cloud import Placed, clouds, eventually
from tests.system.rows import allocate


@pytest.fixture(scope="module")
def cloud():
    with clouds() as cloud:
        cloud.guests = {
            name: replace(placed, lease=placed.guest.dhcp())
            for name, placed in cloud.guests.items()
        }
        yield cloud


@pytest.fixture
def lab(cloud):
    """For the report of a failure."""
    return cloud.lab


@pytest.fixture
def mine(cloud):
    """A guest that has two addresses from now on."""
    placed = cloud.guests["vm_1"]
    with contextlib.closing(Database(cloud.lab.database_url)) as database:
        network = networks.get(database, "flat")
    answer = cloud.lab.rpc().call(
        "add_fixed_ip_to_instance", **_here(placed), network_id=network.id
    )
    first, second = _addresses(answer)
    assert first == placed.address
    _has(placed, second)
    return Mine(placed, first, second)


@dataclass(frozen=True)
class Mine:
    """A guest and its addresses, by age."""

    placed: Placed
    first: str
    second: str


def test_all_are_let_through_and_the_first_is_leased(cloud, lab, mine):
    def reach():
        """Who of two others reaches which address."""
        return {
            (name, address)
            for name in ("vm_2", "vm_3")
            for address in (mine.first, mine.second)
            if cloud.guests[name].guest.ping(address)
        }

    of_second = {("vm_2", mine.second), ("vm_3", mine.second)}
    everything = {("vm_2", mine.first), ("vm_3", mine.first), *of_second}
    placed = mine.placed
    assert reach() == set()
    with cloud.group("pinged", "vm_1", protocol="icmp", cidr="0.0.0.0/0"):
        eventually(reach, everything)
        # It speaks for itself by either, and by no other.
        _has(placed, "10.0.0.99")
        asked = (mine.first, mine.second, "10.0.0.99")
        assert [_pings(placed, a) for a in asked] == [True, True, False]
        # What was leased stays so, renewed or asked for anew.
        assert placed.guest.dhcp().address == mine.first
        _has(placed, mine.second)
        _remove(lab, mine)
        eventually(reach, of_second)
        assert [_pings(placed, a) for a in asked] == [False, True, False]
        assert placed.guest.dhcp().address == mine.second
        eventually(reach, of_second)
    state = lab.rpc().call("get_host_state", host=placed.node.name)
    assert (state["state"], state["failures"]) == ("ready", [])


@pytest.fixture
def both(cloud):
    """The two interfaces of one instance on one network, each plugged in.

    In a namespace of its own, so that each speaks for itself.
    """
    lab, node = cloud.lab, cloud.lab.node(2)
    with contextlib.closing(Database(lab.database_url)) as database:
        network = networks.get(database, "flat")
        uuid = instances.create(
            database, hostname="vm_5", host=node.name, project_id="blue"
        ).uuid
    twice = {"requested_networks": [[network.uuid, None]] * 2}
    answer = allocate(lab, uuid, node.name, **twice)
    assert allocate(lab, uuid, node.name, **twice) == answer
    gateways = [_subnet(vif)["gateway"]["address"] for vif in answer]
    assert gateways == [_subnet(answer[0])["meta"]["dhcp_server"], None]
    found = []
    for name, vif in zip(("vm_5", "vm_5b"), answer, strict=True):
        guest = lab.guest(name, node=node, vif_uuid=vif["id"])
        address = _subnet(vif)["ips"][0]["address"]
        placed = Placed(guest, node, uuid, address, vif["address"])
        found.append(replace(placed, lease=guest.dhcp()))
    cloud.guests["vm_5"] = found[0]
    yield found
    del cloud.guests["vm_5"]
    lab.rpc().call("deallocate_for_instance", instance_id=uuid)
    devices = {f"tap{vif['id'][:11]}" for vif in answer}
    assert not devices.intersection(node.run("ls /sys/class/net").split())


def test_two_interfaces_on_one_network(cloud, both):
    first, second = both
    server = first.lease.server
    assert (first.lease.router, second.lease.router) == (server, "")
    assert (first.guest.gateway(), second.guest.gateway()) == (server, "")
    assert second.lease.server == server
    assert [each.lease.address for each in both] == [
        each.address for each in both
    ]
    # A lease that is renewed after others came and went is the same.
    assert second.guest.dhcp().router == ""
    asks = cloud.guests["vm_2"].guest
    with cloud.group("pinged", "vm_5", protocol="icmp", cidr="0.0.0.0/0"):
        eventually(lambda: [asks.ping(e.address) for e in both], [True] * 2)
    # Each speaks for itself, and not for the other.
    for one, other in ((first, second), (second, first)):
        _has(one, other.address)
        assert _pings(one, one.address)
        assert not _pings(one, other.address)


def test_a_rate_is_kept_by_whoever_has_the_port(cloud, lab):
    placed = cloud.guests["vm_4"]
    (vif,) = lab.rpc().call("allocate_for_instance", **_here(placed))
    device, node = vif["devname"], placed.node

    def shaped():
        return "tbf 464e:" in node.run(f"tc qdisc show dev {device}")

    def allocate(**rate):
        lab.rpc().call("allocate_for_instance", **_here(placed), **rate)
        return shaped()

    assert not shaped()
    assert allocate(port_rate=20_000_000)
    assert allocate()
    node.run(f"tc qdisc del dev {device} root")
    eventually(shaped, True)
    assert placed.guest.ping(placed.lease.server)
    assert not allocate(port_rate=0)
    assert "ifb" not in node.run("ip link")


def test_who_is_unplugged_reaches_nobody_until_he_is_plugged(cloud, lab):
    """His container keeps its end meanwhile, and its address."""
    placed, asks = cloud.guests["vm_4"], cloud.guests["vm_2"].guest
    named = {"instance_id": placed.uuid}

    def reach():
        return asks.ping(placed.address), _pings(placed, placed.address)

    with cloud.group("pinged", "vm_4", protocol="icmp", cidr="0.0.0.0/0"):
        eventually(reach, (True, True))
        (vif,) = lab.rpc().call("unplug_vifs", **named)
        assert (vif["active"], reach()) == (False, (False, False))
        lab.rpc().call("reconcile", host=placed.node.name)
        # Nor where somebody puts the device up.
        placed.node.run(f"ip link set {vif['devname']} up")
        assert reach() == (False, False)
        state = lab.rpc().call("get_host_state", host=placed.node.name)
        assert (state["state"], state["failures"]) == ("ready", [])
        (vif,) = lab.rpc().call("plug_vifs", **named)
        assert vif["active"]
        eventually(reach, (True, True))
        assert placed.guest.dhcp().address == placed.address


def _remove(lab, mine):
    """Take its first address away; nothing of that lingers."""
    taken = {**_here(mine.placed), "address": mine.first}
    answer = lab.rpc().call("remove_fixed_ip_from_instance", **taken)
    assert _addresses(answer) == [mine.second]
    assert _tracked(mine.placed.node, mine.first) == []
    assert _tracked(mine.placed.node, mine.second) != []
    with pytest.raises(FixedIpNotFoundForSpecificInstance):
        lab.rpc().call("remove_fixed_ip_from_instance", **taken)


def _here(placed):
    return {"instance_id": placed.uuid, "host": placed.node.name}


def _addresses(answer):
    (vif,) = answer
    return [each["address"] for each in _subnet(vif)["ips"]]


def _subnet(vif):
    return vif["network"]["subnets"][0]


def _tracked(node, address):
    """The connections of an address that a node still knows."""
    lines = node.run("conntrack -L").splitlines()
    return [line for line in lines if f"={address} " in line]


def _has(placed, address):
    placed.guest.run(["ip", "address", "add", f"{address}/24", "dev", "eth0"])


def _pings(placed, source):
    """Whether its gateway answers what a guest sends from an address."""
    done = placed.guest.attempt(
        ["ping", "-c", "1", "-W", "1", "-I", source, placed.lease.server]
    )
    return done.returncode == 0
