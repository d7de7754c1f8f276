"""Rows read by scopes come to what is read whole, whatever happened."""

import random

import pytest
from sqlalchemy import delete, event, update

from flatnet.db import deallocation
from flatnet.plan.findings import findings
from flatnet.plan.port import port_name
from flatnet.state.changes import Changes, FoundPort
from flatnet.state.scope import EVERYTHING, NOTHING, Scope, of_hint
from tests.db.conftest import addresses_of, allocate, an_instance
from tests.db.world import FIXED_IPS, World

STEPS = 25


@pytest.fixture
def world(database):
    return World(database)


@pytest.mark.parametrize("seed", range(8))
def test_a_scope_after_another_comes_to_the_whole(world, seed):
    chance = random.Random(seed)
    # One who stays, so that the network is known, by its address or by him.
    world.addressed = bool(seed % 2)
    stays = an_instance(world.database)
    allocate(world.database, stays, takes_address=world.addressed)
    world.look(EVERYTHING)
    steps = (
        *(world.come, world.go, world.regroup, world.move, world.rename),
        *(world.rule, world.repeal, world.want, world.replug),
        *(world.lead, world.lead, world.find),
    )
    wander(world, chance, steps)


@pytest.mark.parametrize("seed", range(4))
def test_so_it_does_where_one_host_serves_all(database, seed):
    """Whoever that is, and whoever is on which host."""
    world, chance = World(database, multi_host=False), random.Random(seed)
    steps = (
        *(world.come, world.go, world.regroup, world.move, world.rename),
        *(world.want, world.hand_over),
    )
    wander(world, chance, steps)


def wander(world, chance, steps):
    for _ in range(STEPS):
        step = chance.choice(steps)
        scope = step(chance)
        if chance.random() < 0.3:
            # Asks that came meanwhile are served together.
            scope |= chance.choice(steps)(chance)
        world.look(scope)


def test_an_address_that_is_given_out_again_is_one_guests(world):
    """Nobody has said yet that the other has it no more."""
    old, new = an_instance(world.database), an_instance(world.database)
    for instance in (old, new):
        allocate(world.database, instance)
    world.look(EVERYTHING)
    deallocation.deallocate(world.database, instance_uuid=old.uuid)
    world.write(delete(FIXED_IPS).where(FIXED_IPS.c.address == "10.0.0.2"))
    mine = FIXED_IPS.c.instance_uuid == new.uuid
    world.write(update(FIXED_IPS).where(mine).values(address="10.0.0.2"))
    world.look(Scope(instances=frozenset((new.uuid,))))
    holders = [each.instance_uuid for each in world.known.interfaces.values()]
    assert holders == [new.uuid]


def test_a_member_elsewhere_has_its_address_alone(world):
    """Who had it here may send from it no more, and would be the member."""
    here, friend = an_instance(world.database), an_instance(world.database)
    there = an_instance(world.database, host="node2")
    trusted, web = world.groups[:2]
    world.trust(web, trusted)
    world._join(web, friend.uuid)
    world._join(trusted, there.uuid)
    for instance in (here, friend, there):
        allocate(world.database, instance)
    world.look(EVERYTHING)
    deallocation.deallocate(world.database, instance_uuid=here.uuid)
    (old,) = (
        address
        for each in world.known.interfaces.values()
        if each.instance_uuid == here.uuid
        for address in each.addresses
    )
    world.write(delete(FIXED_IPS).where(FIXED_IPS.c.address == old))
    mine = FIXED_IPS.c.instance_uuid == there.uuid
    world.write(update(FIXED_IPS).where(mine).values(address=old))
    world.look(Scope(instances=frozenset((there.uuid,))))
    assert here.uuid not in {
        each.instance_uuid for each in world.known.interfaces.values()
    }


@pytest.mark.parametrize("told", ["of rules", "of members"])
def test_a_member_that_nobody_named_has_its_address_alone(world, told):
    """Its group is one that rules name by now, or has members that are new."""
    here, friend = an_instance(world.database), an_instance(world.database)
    there = an_instance(world.database, host="node2")
    trusted, web = world.groups[:2]
    world._join(web, friend.uuid)
    for instance in (here, friend, there):
        allocate(world.database, instance)
    scope = of_hint({web}, ())
    if told == "of members":
        scope = of_hint({trusted}, None)
        world.trust(web, trusted)
    world.look(EVERYTHING)
    (old,) = addresses_of(world.database, here)
    deallocation.deallocate(world.database, instance_uuid=here.uuid)
    world.write(delete(FIXED_IPS).where(FIXED_IPS.c.address == old))
    mine = FIXED_IPS.c.instance_uuid == there.uuid
    world.write(update(FIXED_IPS).where(mine).values(address=old))
    world._join(trusted, there.uuid)
    if told == "of rules":
        world.trust(web, trusted)
    world.look(scope, unnamed=True)
    assert here.uuid not in {
        each.instance_uuid for each in world.known.interfaces.values()
    }


def test_what_was_recorded_is_no_news_again(world):
    world.look(world.come(random.Random(1)))
    ports = tuple(
        FoundPort(port_name(uuid), "up", kind="tap")
        for uuid in world.known.interfaces
    )
    changes = Changes(ports=ports)
    assert findings(world.known, "node1", ports) != ()
    world.known, more = world.rows.record(world.known, changes)
    assert more == NOTHING
    assert findings(world.known, "node1", ports) == ()
    world.look(NOTHING)


def test_who_is_found_is_looked_at_for_its_floating_address(world):
    """Where that is depends on where the guest is."""
    world.look(world.come(random.Random(1)))
    world.look(world.lead(random.Random(1)))
    (instance,) = world.instances
    found = {"kind": "tap", "carrier": True}
    ports = tuple(
        FoundPort(port_name(uuid), "up", **found)
        for uuid in world.known.interfaces
    )
    record = world.rows.record
    world.known, more = record(world.known, Changes(ports=ports))
    assert more == Scope(instances=frozenset((instance.uuid,)))
    world.look(more)
    assert record(world.known, Changes(ports=ports))[1] == NOTHING


def test_a_scope_of_one_costs_one_query(world):
    """However many there are on the host."""
    chance = random.Random(1)
    for _ in range(10):
        world.come(chance)
    world.look(EVERYTHING)
    scope = world.come(chance)
    asked = []

    def count(_connection, _cursor, statement, *_rest):
        if "SELECT" in statement:
            asked.append(statement)

    event.listen(world.database._reading, "before_cursor_execute", count)
    world.rows.read(scope, world.known)
    assert len(asked) == 1
