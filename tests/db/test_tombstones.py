"""Tombstones of ports, and what they tell of the guests."""

from flatnet.db import bindings, deallocation, scoped, snapshot
from flatnet.state.rows import GONE, SERVING
from flatnet.state.scope import KnownGroups, Scope
from tests.db.test_bindings import placed

__all__ = ("placed",)


def test_a_tombstone_says_whether_its_guest_goes_on(database, placed):
    mine = Scope(instances=frozenset((placed.uuid,)))

    def moved():
        read = snapshot.read(database, "node1").bindings
        within, _ = scoped.read(database, "node1", mine, KnownGroups())
        assert within.bindings == read
        return [(each.wanted, each.moved) for each in read]

    assert moved() == [(SERVING, False)]
    bindings.dismiss(database, instance_uuid=placed.uuid, host="node1")
    assert moved() == [(GONE, True)]
    deallocation.deallocate(database, instance_uuid=placed.uuid)
    assert moved() == [(GONE, False)]
