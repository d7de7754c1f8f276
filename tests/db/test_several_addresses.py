"""More than one address on an interface: which is the first, and whose."""

import pytest

from flatnet.db import (
    allocation,
    deallocation,
    interfaces,
    models,
    networks,
    scoped,
    snapshot,
)
from flatnet.exceptions import (
    FixedIpNotFoundForSpecificInstance,
    NetworkNotFound,
)
from flatnet.state.scope import KnownGroups, of_instance
from tests.db.conftest import (
    a_network,
    addresses_of,
    allocate,
    an_instance,
    rows,
    some_uuid,
)

NOBODY = KnownGroups(frozenset(), frozenset(), frozenset())


def test_one_more_address_and_one_less(database):
    network = a_network(database)
    instance = an_instance(database)
    more = {
        "instance_uuid": instance.uuid,
        "network_uuid": network.uuid,
        "placement": allocation.Placing("node1"),
    }
    allocation.add_address(database, **more)
    allocation.add_address(database, **more)
    assert addresses_of(database, instance) == ["10.0.0.2", "10.0.0.3"]
    assert len(rows(database, models.virtual_interfaces)) == 1
    less = {"instance_uuid": instance.uuid, "address": "10.0.0.2"}
    allocation.remove_address(database, **less)
    assert addresses_of(database, instance) == ["10.0.0.3"]
    with pytest.raises(FixedIpNotFoundForSpecificInstance, match="not hold"):
        allocation.remove_address(database, **less)


def test_the_address_that_an_instance_got_first_stays_its_first(database):
    """A lower one that comes later is not what its guest has leased."""
    network = a_network(database, cidr="10.0.0.0/29")
    given = {"placement": allocation.Placing("node1", quarantine=0)}
    leaves, stays, *others = (an_instance(database) for _ in range(5))
    for each in (leaves, stays, *others):
        allocate(database, each)
    deallocation.deallocate(database, instance_uuid=leaves.uuid)
    more = {
        "instance_uuid": stays.uuid,
        "network_uuid": network.uuid,
        **given,
    }
    served, _ = allocation.add_address(database, **more)
    ((interface, _, _),) = served.networks
    assert interface.addresses == ("10.0.0.3", "10.0.0.2")
    assert _as_read(database, stays) == {interface.addresses}
    allocation.remove_address(
        database, instance_uuid=stays.uuid, address="10.0.0.3"
    )
    served, _ = allocation.add_address(database, **more)
    ((interface, _, _),) = served.networks
    assert interface.addresses == ("10.0.0.2", "10.0.0.3")
    assert _as_read(database, stays) == {interface.addresses}


def _as_read(database, instance):
    """Its addresses as all who read its rows have them."""
    scope = of_instance(instance.uuid)
    some, _ = scoped.read(database, "node1", scope, NOBODY)
    everything = snapshot.read(database, "node1")
    of_it = interfaces.of_instance(database, instance.uuid)
    return {
        each.addresses
        for each in (
            *(mine for mine, _ in of_it),
            *some.interfaces,
            *everything.interfaces,
        )
        if each.instance_uuid == instance.uuid
    }


def test_one_more_address_may_need_an_interface(database):
    a_network(database)
    instance = an_instance(database)
    allocate(database, instance)
    more = a_network(
        database, label="more", cidr="10.1.0.0/24", bridge="br101"
    )
    served, _ = allocation.add_address(
        database,
        instance_uuid=instance.uuid,
        network_uuid=more.uuid,
        placement=allocation.Placing("node1"),
    )
    assert [each.addresses for each, _, _ in served.networks] == [
        ("10.0.0.2",),
        ("10.1.0.2",),
    ]


def test_networks_are_meant_by_uuid_or_id(database):
    network = a_network(database)
    for each in (network.uuid, network.uuid.upper(), str(network.id)):
        assert networks.meant(database, each) == network.uuid
    for nobody in (some_uuid(), "0", "9" * 40, "9" * 9000, "private", "²"):
        with pytest.raises(NetworkNotFound, match=nobody):
            networks.meant(database, nobody)
