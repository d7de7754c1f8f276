"""Which address is next: new ones first, released ones in their time."""

import pytest

from flatnet.db import deallocation, host_addresses
from flatnet.exceptions import NoMoreFixedIps
from tests.db.conftest import (
    a_network,
    addresses_of,
    age,
    allocate,
    an_instance,
)


def release(database, instance):
    deallocation.deallocate(database, instance_uuid=instance.uuid)


def test_new_addresses_first_then_the_longest_released(database):
    a_network(database, cidr="10.0.0.0/29")
    first, second, third = (an_instance(database) for _ in range(3))
    for instance in (first, second, third):
        allocate(database, instance)
    release(database, second)
    age(database, 60)
    release(database, first)
    age(database, 1000)
    held = []
    for _ in range(4):
        instance = an_instance(database)
        allocate(database, instance)
        held += addresses_of(database, instance)
    assert held == ["10.0.0.5", "10.0.0.6", "10.0.0.3", "10.0.0.2"]


def test_quarantine_is_never_cut_short(database):
    network = a_network(database, cidr="10.0.0.0/30")
    old, new = an_instance(database), an_instance(database)
    allocate(database, old)
    release(database, old)
    with pytest.raises(NoMoreFixedIps):
        allocate(database, new)
    age(database, 570)
    with pytest.raises(NoMoreFixedIps):
        allocate(database, new)
    with pytest.raises(NoMoreFixedIps):
        host_addresses.ensure(
            database, network_uuid=network.uuid, host="node2", quarantine=600
        )
    age(database, 30)
    allocate(database, new)
    assert addresses_of(database, new) == ["10.0.0.2"]


def test_without_quarantine_a_released_address_is_free_at_once(database):
    a_network(database, cidr="10.0.0.0/30")
    old, new = an_instance(database), an_instance(database)
    allocate(database, old)
    release(database, old)
    allocate(database, new, quarantine=0)
    assert addresses_of(database, new) == ["10.0.0.2"]


def test_requested_address_is_had_in_its_quarantine(database):
    network = a_network(database)
    instance = an_instance(database)
    allocate(database, instance)
    release(database, instance)
    allocate(database, instance, requested=[(network.uuid, "10.0.0.2")])
    assert addresses_of(database, instance) == ["10.0.0.2"]


def test_requested_addresses_are_passed_over(database):
    network = a_network(database)
    early, late = an_instance(database), an_instance(database)
    allocate(database, early, requested=[(network.uuid, "10.0.0.2")])
    allocate(database, late)
    assert addresses_of(database, late) == ["10.0.0.3"]
