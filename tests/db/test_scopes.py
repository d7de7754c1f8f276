"""Rows read by scopes come to what is read whole, whatever happened."""

import random

import pytest
from sqlalchemy import delete, event, insert, update

from flatnet.cmd.hostrows import DatabaseRows
from flatnet.cmd.planner import HostPlanner
from flatnet.config.settings import Settings
from flatnet.db import bindings, deallocation, models, security_groups
from flatnet.plan.findings import findings
from flatnet.plan.kept_rows import Kept
from flatnet.plan.planned import planned
from flatnet.plan.port import port_name
from flatnet.state.changes import Changes, FoundPort
from flatnet.state.plan import Uplink
from flatnet.state.rows import ARRIVING, GONE, LEAVING, SERVING
from flatnet.state.scope import EVERYTHING, NOTHING, Scope, of_hint
from tests.db.conftest import (
    HOLDER,
    a_network,
    addresses_of,
    allocate,
    an_instance,
)

STEPS = 25
RULE = {"protocol": "tcp", "from_port": 22, "to_port": 22}
INSTANCES = models.instances
FIXED_IPS = models.fixed_ips
MEMBERS = models.security_group_instance_association
BINDINGS = models.port_bindings
RULES = models.security_group_rules
SETTINGS = Settings(host="node1", flat_interface="eth1")
UPLINKS = ({}, {"eth1": Uplink("eth1", 1400)}, {"eth1": Uplink("eth1", 1500)})


@pytest.fixture
def world(database):
    return World(database)


class World:
    """Hosts with instances and groups, and what node1 knows of them."""

    def __init__(self, database):
        self.database = database
        self.rows = DatabaseRows(database, "node1", holder=HOLDER)
        self.addressed = True
        self.uplinks = {}
        self.planner = HostPlanner(SETTINGS)
        self.network = a_network(database, cidr_v6="fd00::/64")
        self.groups = [
            security_groups.create(
                database, name=f"g{number}", project_id="demo"
            ).id
            for number in range(4)
        ]
        self.instances = []
        self.known = self.rows.read(EVERYTHING, Kept())
        self.planned = self.planner.plan(self.known, self.uplinks, None)

    def write(self, statement):
        self.database.write(lambda c: c.execute(statement).rowcount)

    def come(self, chance):
        host = chance.choice(("node1", "node1", "node2"))
        instance = an_instance(self.database, host=host)
        self.instances.append(instance)
        for group in chance.sample(self.groups, chance.randrange(3)):
            self._join(group, instance.uuid)
        wanted = [(self.network.uuid, None)] * chance.choice((1, 1, 2))
        given = {"requested": wanted, "takes_address": self.addressed}
        allocate(self.database, instance, **given)
        return Scope(instances=frozenset((instance.uuid,)))

    def go(self, chance):
        if not self.instances:
            return Scope()
        instance = self.instances.pop(chance.randrange(len(self.instances)))
        deallocation.deallocate(self.database, instance_uuid=instance.uuid)
        return Scope(instances=frozenset((instance.uuid,)))

    def regroup(self, chance):
        if not self.instances:
            return Scope()
        instance = chance.choice(self.instances)
        mine = MEMBERS.c.instance_uuid == instance.uuid
        self.write(delete(MEMBERS).where(mine))
        for group in chance.sample(self.groups, chance.randrange(4)):
            self._join(group, instance.uuid)
        if chance.random() < 0.5:
            return Scope(instances=frozenset((instance.uuid,)))
        every = frozenset(self.groups)
        return Scope(groups=every, members=every)

    def rule(self, chance):
        group, source = chance.choices(self.groups, k=2)
        self.trust(group, source)
        return Scope(groups=frozenset((group,)))

    def repeal(self, chance):
        group = chance.choice(self.groups)
        self.write(delete(RULES).where(RULES.c.parent_group_id == group))
        return Scope(groups=frozenset((group,)))

    def rename(self, chance):
        """As somebody else, or as a service that all look up."""
        return self._edit(
            INSTANCES.c.uuid, chance, hostname=["web", "Web", "db", "wpad"]
        )

    def want(self, chance):
        """Something else of a port, in rows alone."""
        return self._edit(
            BINDINGS.c.instance_uuid,
            chance,
            wanted=[SERVING, ARRIVING, LEAVING, GONE],
            plug=["tap", "veth", None],
        )

    def replug(self, chance):
        """The uplink, which no row says."""
        self.uplinks = chance.choice(UPLINKS)
        return EVERYTHING

    def move(self, chance):
        if not self.instances:
            return Scope()
        instance = chance.choice(self.instances)
        host = chance.choice(("node1", "node2"))
        mine = INSTANCES.c.uuid == instance.uuid
        self.write(update(INSTANCES).where(mine).values(host=host))
        if chance.random() < 0.5:
            bindings.expect(
                self.database,
                instance_uuid=instance.uuid,
                host=host,
                plug="tap",
            )
        return Scope(instances=frozenset((instance.uuid,)))

    def _edit(self, column, chance, **choices):
        if not self.instances:
            return Scope()
        uuid = chance.choice(self.instances).uuid
        values = {key: chance.choice(found) for key, found in choices.items()}
        edit = update(column.table).where(column == uuid).values(values)
        self.write(edit)
        return Scope(instances=frozenset((uuid,)))

    def trust(self, group, source):
        """Let in whoever is in another group."""
        security_groups.create_rule(
            self.database, group=group, source_group=source, **RULE
        )

    def _join(self, group, uuid):
        self.write(
            insert(MEMBERS).values(security_group_id=group, instance_uuid=uuid)
        )

    def look(self, scope):
        """Read and plan what is in the scope, and compare it with all."""
        self.known = self.rows.read(scope, self.known)
        plan = self.planner.plan
        self.planned = plan(self.known, self.uplinks, self.planned)
        whole = self.rows.read(EVERYTHING, Kept())
        # Nor does it depend on what was read before.
        newcomer = DatabaseRows(self.database, "node1", holder=HOLDER)
        assert self.known == whole == newcomer.read(EVERYTHING, Kept())
        afresh = planned(whole, SETTINGS, self.uplinks)
        assert self.planned.parts == afresh.parts
        assert [*self.planned.warnings()] == [*afresh.warnings()]


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
    )
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
    world.look(scope)
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


def test_a_scope_of_one_costs_one_query(world):
    """However many there are on the host."""
    chance = random.Random(1)
    for _ in range(10):
        world.come(chance)
    world.look(EVERYTHING)
    scope = world.come(chance)
    asked = []

    def count(connection, cursor, statement, *rest):
        if statement.lstrip().startswith("SELECT"):
            asked.append(statement)

    event.listen(world.database._reading, "before_cursor_execute", count)
    world.rows.read(scope, world.known)
    assert len(asked) == 1
