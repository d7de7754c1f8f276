"""More than one interface of an instance, also on one network."""

import pytest

from flatnet.db import (
    allocation,
    deallocation,
    interfaces,
    models,
    requests,
    scoped,
    snapshot,
)
from flatnet.exceptions import FixedIpAlreadyInUse
from flatnet.state.scope import KnownGroups, of_instance
from tests.db.conftest import (
    a_network,
    addresses_of,
    allocate,
    an_instance,
    contents,
    rows,
)

NOBODY = KnownGroups(frozenset(), frozenset(), frozenset())
VIFS = models.virtual_interfaces
MACS = ("fa:16:3e:00:00:01", "fa:16:3e:00:00:02")


def of(database, instance):
    """(MAC, addresses, whether it has the default route) of each, by age."""
    return [
        (each.mac, each.addresses, each.has_default_route)
        for each, _ in interfaces.of_instance(database, instance.uuid)
    ]


def test_a_network_named_twice_gives_two_and_no_more(database):
    network = a_network(database)
    instance = an_instance(database)
    twice = {"requested": [(network.uuid, None)] * 2, "macs": MACS}
    allocate(database, instance, **twice)
    found = of(database, instance)
    assert found == [
        (MACS[0], ("10.0.0.2",), True),
        (MACS[1], ("10.0.0.3",), False),
    ]
    before = contents(database)
    allocate(database, instance, **twice)
    allocate(database, instance)
    allocate(database, instance, requested=[(network.uuid, "10.0.0.3")])
    allocate(
        database,
        instance,
        requested=[(network.uuid, "10.0.0.3"), (network.uuid, "10.0.0.2")],
    )
    assert contents(database) == before
    allocate(database, instance, requested=[(network.uuid, None)] * 3)
    assert of(database, instance)[:2] == found
    assert addresses_of(database, instance)[2:] == ["10.0.0.4"]


def test_who_names_an_address_gets_it_wherever_it_stands(database):
    """The one before, that asks for any, is not given it."""
    network = a_network(database)
    instance = an_instance(database)
    wanted = [(network.uuid, None), (network.uuid, "10.0.0.2")]
    allocate(database, instance, requested=wanted, takes_address=False)
    assert [each[1] for each in of(database, instance)] == [
        ("10.0.0.1",),
        ("10.0.0.2",),
    ]
    other = an_instance(database)
    wanted = [(network.uuid, None), (network.uuid, "10.0.0.3")]
    allocate(database, other, requested=wanted, takes_address=False)
    assert [each[1] for each in of(database, other)] == [
        ("10.0.0.4",),
        ("10.0.0.3",),
    ]


def test_one_address_is_not_to_be_had_twice(database):
    network = a_network(database)
    instance = an_instance(database)
    twice = [(network.uuid, "10.0.0.9")] * 2
    before = contents(database)
    with pytest.raises(FixedIpAlreadyInUse, match=instance.uuid):
        allocate(database, instance, requested=twice)
    assert contents(database) == before
    with pytest.raises(FixedIpAlreadyInUse, match="requested twice"):
        requests.check_requested(database, twice)
    requests.check_requested(
        database,
        [(network.uuid, "10.0.0.8"), *twice[1:], (network.uuid, None)],
    )


def test_the_first_that_was_requested_has_the_default_route(database):
    """All who read its rows say so, whatever comes later or leaves."""
    first, second = (
        a_network(database, cidr=f"10.{n}.0.0/24", bridge=f"br10{n}")
        for n in range(2)
    )
    instance = an_instance(database)
    wanted = [(second.uuid, None), (first.uuid, None), (second.uuid, None)]
    allocate(database, instance, requested=wanted)
    has = [second.id, first.id, second.id]
    ids = [row["network_id"] for row in rows(database, VIFS)]
    assert ids == has
    assert _as_read(database, instance) == {second.id: [True, False]} | {
        first.id: [False]
    }
    allocation.remove_address(
        database, instance_uuid=instance.uuid, address="10.1.0.2"
    )
    assert [each[2] for each in of(database, instance)] == [
        True,
        False,
        False,
    ]
    assert _as_read(database, instance)[second.id] == [True, False]


def _as_read(database, instance):
    """Who has the default route, oldest first, by the network's id."""
    scope = of_instance(instance.uuid)
    some, _ = scoped.read(database, "node1", scope, NOBODY)
    whole = snapshot.read(database, "node1")
    assert some.interfaces == whole.interfaces
    served = allocation.allocate(
        database,
        instance_uuid=instance.uuid,
        placement=allocation.Placing("node1"),
    )
    told = {each.uuid: each for each, _, _ in served.networks}
    found = {}
    for row in rows(database, VIFS):
        (read,) = (e for e in whole.interfaces if e.uuid == row["uuid"])
        assert told[read.uuid].has_default_route == read.has_default_route
        found.setdefault(read.network_id, []).append(read.has_default_route)
    return found


def test_one_more_address_is_the_oldest_interfaces(database):
    """As in nova; and the one that is taken is its holder's."""
    network = a_network(database)
    instance = an_instance(database)
    allocate(database, instance, requested=[(network.uuid, None)] * 2)
    allocation.add_address(
        database,
        instance_uuid=instance.uuid,
        network_uuid=network.uuid,
        placement=allocation.Placing("node1"),
    )
    assert [each[1] for each in of(database, instance)] == [
        ("10.0.0.2", "10.0.0.4"),
        ("10.0.0.3",),
    ]
    allocation.remove_address(
        database, instance_uuid=instance.uuid, address="10.0.0.3"
    )
    assert [each[1] for each in of(database, instance)] == [
        ("10.0.0.2", "10.0.0.4"),
        (),
    ]
    deallocation.deallocate(database, instance_uuid=instance.uuid)
    assert rows(database, VIFS) == addresses_of(database, instance) == []
