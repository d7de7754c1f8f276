"""Interfaces that callers have unplugged, as all who read rows have them."""

import pytest

from flatnet.db import bindings, deallocation, scoped, snapshot, vifs
from flatnet.state.scope import KnownGroups, of_instance
from tests.db.conftest import a_network, allocate, an_instance

NOBODY = KnownGroups(frozenset(), frozenset(), frozenset())


@pytest.fixture
def instance(database):
    """One with an interface, next to another."""
    a_network(database)
    allocate(database, an_instance(database))
    instance = an_instance(database)
    allocate(database, instance)
    return instance


def plugged(database, instance, host="node1"):
    """Whether its interfaces on a host are plugged, as it is read."""
    scope = of_instance(instance.uuid)
    some, _ = scoped.read(database, host, scope, NOBODY)
    whole = snapshot.read(database, host).interfaces
    mine = [e for e in whole if e.instance_uuid == instance.uuid]
    assert list(some.interfaces) == mine
    assert all(e.is_plugged for e in whole if e not in mine)
    return [each.is_plugged for each in mine]


def test_it_lasts_until_it_is_plugged_in(database, instance):
    assert plugged(database, instance) == [True]
    for _ in range(2):
        vifs.unplug(database, instance_uuid=instance.uuid)
        assert plugged(database, instance) == [False]
    # Whatever else callers ask for meanwhile.
    allocate(database, instance)
    assert plugged(database, instance) == [False]
    to = {"instance_uuid": instance.uuid, "host": "node2", "plug": "tap"}
    bindings.expect(database, **to)
    for host in ("node1", "node2"):
        assert plugged(database, instance, host) == [False]
    vifs.plug(database, instance_uuid=instance.uuid)
    for host in ("node1", "node2"):
        assert plugged(database, instance, host) == [True]


def test_a_new_interface_of_who_is_unplugged_is_so_too(database, instance):
    other = a_network(database, cidr="10.1.0.0/24", bridge="br101")
    vifs.unplug(database, instance_uuid=instance.uuid)
    allocate(database, instance, requested=[(other.uuid, None)])
    assert plugged(database, instance) == [False, False]


def test_it_ends_with_what_was_allocated(database, instance):
    vifs.unplug(database, instance_uuid=instance.uuid)
    deallocation.deallocate(database, instance_uuid=instance.uuid)
    allocate(database, instance)
    assert plugged(database, instance) == [True]
