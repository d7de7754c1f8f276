"""Addresses and MACs: given in order, refused by name, taken back."""

import re
from dataclasses import replace

import pytest
from sqlalchemy import update

from flatnet.db import (
    deallocation,
    host_addresses,
    interfaces,
    models,
    requests,
)
from flatnet.exceptions import (
    FixedIpAlreadyInUse,
    FixedIpInvalid,
    FixedIpNotFoundForNetwork,
    InstanceNotFound,
    InvalidMacAddress,
    MacAddressInUse,
    NetworkNotFound,
    NoMoreFixedIps,
)
from tests.db.conftest import (
    a_network,
    addresses_of,
    allocate,
    an_instance,
    contents,
    rows,
    some_uuid,
)

MAC = "fa:16:3e:00:00:01"


def release(database, instance):
    deallocation.deallocate(database, instance_uuid=instance.uuid)


def test_article_order_host_first_then_instances(database):
    """vm_1, vm_2 on the first node, vm_3, vm_4 on the second."""
    network = a_network(database)
    placed = [
        an_instance(database, hostname=f"vm_{n}", host=f"node{1 + n // 3}")
        for n in (1, 2, 3, 4)
    ]
    for instance in placed:
        allocate(database, instance)
    held = [addresses_of(database, instance) for instance in placed]
    assert held == [["10.0.0.2"], ["10.0.0.3"], ["10.0.0.5"], ["10.0.0.6"]]
    hosts = [
        interfaces.host_address(database, network_id=network.id, host=host)
        for host in ("node1", "node2", "node3")
    ]
    assert hosts == ["10.0.0.1", "10.0.0.4", None]


def test_interface_and_its_network(database):
    network = a_network(database)
    instance = an_instance(database)
    allocate(database, instance)
    ((interface, its_network),) = interfaces.of_instance(
        database, instance.uuid
    )
    assert its_network == network
    assert re.fullmatch(r"fa:16:3e(:[0-9a-f]{2}){3}", interface.mac)
    assert interface.addresses == ("10.0.0.2",)
    assert interface.hostname == "vm_1"
    assert interface.project_id == "demo"
    assert interfaces.of_instance(database, some_uuid()) == ()


def test_asked_twice_it_answers_the_same(database):
    a_network(database)
    instance = an_instance(database)
    wanted = {"macs": [MAC]}
    allocate(database, instance, **wanted)
    before = contents(database)
    allocate(database, instance, **wanted)
    allocate(database, instance)
    assert contents(database) == before


def test_bridge_takes_no_address_where_it_has_none(database):
    a_network(database)
    a_network(database, cidr="10.1.0.0/24", bridge="br101", enable_dhcp=False)
    a_network(database, cidr="10.2.0.0/24", bridge="br102", multi_host=False)
    instance = an_instance(database)
    allocate(database, instance, takes_address=False)
    assert rows(database, models.fixed_ips, host="node1") == []
    other = an_instance(database)
    allocate(database, other)
    hosts = rows(database, models.fixed_ips, host="node1")
    assert [row["address"] for row in hosts] == ["10.0.0.2"]
    assert addresses_of(database, other) == [
        "10.1.0.2",
        "10.0.0.3",
        "10.2.0.3",
    ]


def test_requested_networks_and_addresses(database):
    one = a_network(database)
    two = a_network(database, cidr="10.1.0.0/24", bridge="br101")
    instance, other = an_instance(database), an_instance(database)
    allocate(database, instance, requested=[(two.uuid.upper(), None)])
    assert addresses_of(database, instance) == ["10.1.0.2"]
    wanted = [(two.uuid, "10.1.0.77"), (one.uuid, None)]
    requests.check_requested(database, wanted)
    allocate(database, other, requested=wanted)
    assert addresses_of(database, other) == ["10.0.0.2", "10.1.0.77"]
    attached = interfaces.of_instance(database, other.uuid)
    assert [network.uuid for _, network in attached] == [two.uuid, one.uuid]


@pytest.mark.parametrize(
    ("error", "address"),
    [
        (FixedIpInvalid, "ten"),
        (FixedIpInvalid, "10.0.0"),
        (FixedIpInvalid, "fd00::1"),
        (FixedIpNotFoundForNetwork, "10.0.1.1"),
        (FixedIpNotFoundForNetwork, "9.255.255.255"),
        (FixedIpAlreadyInUse, "10.0.0.0"),
        (FixedIpAlreadyInUse, "10.0.0.255"),
        (FixedIpAlreadyInUse, "10.0.0.200"),
        (FixedIpAlreadyInUse, "10.0.0.9"),
        (FixedIpAlreadyInUse, "10.0.0.1"),
        (FixedIpAlreadyInUse, "10.0.0.2"),
    ],
)
def test_requested_address_that_cannot_be_had(database, error, address):
    network = a_network(database, gateway="10.0.0.9", allowed_end="10.0.0.199")
    allocate(database, an_instance(database))
    instance = an_instance(database)
    before = contents(database)
    wanted = [(network.uuid, address)]
    with pytest.raises(error, match=re.escape(address)):
        allocate(database, instance, requested=wanted)
    with pytest.raises(error, match=re.escape(address)):
        requests.check_requested(database, wanted)
    assert contents(database) == before


def test_other_address_than_the_one_held(database):
    network = a_network(database)
    instance = an_instance(database)
    allocate(database, instance)
    with pytest.raises(
        FixedIpAlreadyInUse, match=r"already holds 10\.0\.0\.2"
    ):
        allocate(database, instance, requested=[(network.uuid, "10.0.0.9")])
    allocate(database, instance, requested=[(network.uuid, "10.0.0.2")])


def test_unknown_network_and_instance(database):
    a_network(database)
    instance = an_instance(database)
    before = contents(database)
    nobody = some_uuid()
    with pytest.raises(NetworkNotFound, match=nobody):
        allocate(database, instance, requested=[(nobody, None)])
    with pytest.raises(NetworkNotFound, match=nobody):
        requests.check_requested(database, [(nobody, None)])
    with pytest.raises(NetworkNotFound, match=nobody):
        host_addresses.ensure(
            database, network_uuid=nobody, host="node1", quarantine=0
        )
    with pytest.raises(InstanceNotFound, match=nobody):
        allocate(database, replace(instance, uuid=nobody))
    assert contents(database) == before


def test_dead_instance_gets_nothing(database):
    a_network(database)
    instance = an_instance(database)
    dead = update(models.instances).values(deleted=instance.id)
    database.write(lambda connection: connection.execute(dead).rowcount)
    with pytest.raises(InstanceNotFound):
        allocate(database, instance)


def test_requested_macs_come_in_order(database):
    a_network(database)
    a_network(database, cidr="10.1.0.0/24", bridge="br101")
    instance = an_instance(database)
    macs = ["02:00:00:00:00:02", "02:00:00:00:00:0A"]
    allocate(database, instance, macs=macs)
    attached = interfaces.of_instance(database, instance.uuid)
    assert [interface.mac for interface, _ in attached] == [
        "02:00:00:00:00:02",
        "02:00:00:00:00:0a",
    ]


@pytest.mark.parametrize(
    "mac",
    [
        "ten",
        "",
        "fa:16:3e:00:00",
        "fa:16:3e:00:00:0g",
        "01:00:5e:00:00:01",
        "ff:ff:ff:ff:ff:ff",
        "00:00:00:00:00:00",
        "fa:16:3e:00:00:01\n",
        "fe:16:3e:00:00:01",
        "FE:16:3E:00:00:01",
    ],
)
def test_bad_mac_is_refused_and_changes_nothing(database, mac):
    a_network(database)
    instance = an_instance(database)
    before = contents(database)
    with pytest.raises(InvalidMacAddress):
        allocate(database, instance, macs=[mac])
    assert contents(database) == before


def test_taken_mac_is_refused_and_changes_nothing(database):
    a_network(database)
    allocate(database, an_instance(database), macs=[MAC])
    instance = an_instance(database)
    before = contents(database)
    with pytest.raises(MacAddressInUse, match=MAC):
        allocate(database, instance, macs=[MAC.upper()])
    assert contents(database) == before


def test_exhausted_pool_leaves_nothing_behind(database):
    a_network(database, cidr="10.0.0.0/29")
    for _ in range(5):
        allocate(database, an_instance(database))
    instance = an_instance(database)
    elsewhere = an_instance(database, host="node2")
    before = contents(database)
    with pytest.raises(NoMoreFixedIps, match=r"private.*no address left;"):
        allocate(database, instance)
    with pytest.raises(NoMoreFixedIps, match="bridge of host node2"):
        allocate(database, elsewhere)
    assert contents(database) == before


def test_deallocation_needs_no_row_and_may_be_repeated(database):
    a_network(database)
    instance = an_instance(database)
    allocate(database, instance)
    gone = models.instances.delete()
    database.write(lambda connection: connection.execute(gone).rowcount)
    for _ in range(2):
        release(database, instance)
        assert rows(database, models.virtual_interfaces) == []
        (row,) = rows(database, models.fixed_ips, address="10.0.0.2")
        assert row["instance_uuid"] is None
        assert row["virtual_interface_id"] is None
        assert row["allocated"] is False
    deallocation.deallocate(database, instance_uuid=some_uuid())


def test_host_address_is_given_once(database):
    network = a_network(database)
    wanted = {"network_uuid": network.uuid, "host": "node1", "quarantine": 0}
    host_addresses.ensure(database, **wanted)
    before = contents(database)
    host_addresses.ensure(database, **wanted)
    assert contents(database) == before
    (row,) = rows(database, models.fixed_ips)
    assert (row["address"], row["host"]) == ("10.0.0.1", "node1")
