"""More than one address on an interface: real guests, by packets."""

import contextlib
from dataclasses import dataclass, replace

import pytest

from flatnet.db import networks
from flatnet.db.engine import Database
from flatnet.exceptions import FixedIpNotFoundForSpecificInstance
from tests.system.cloud import Placed, clouds, eventually


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
    return [each["address"] for each in vif["network"]["subnets"][0]["ips"]]


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
