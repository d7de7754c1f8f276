"""Rows of a cloud that change by chance, and what one host knows of them."""

from dataclasses import replace

from sqlalchemy import delete, insert, update

from flatnet.cmd.hostrows import DatabaseRows
from flatnet.cmd.planner import HostPlanner
from flatnet.cmd.serverroles import ServerRoles
from flatnet.config.settings import Settings
from flatnet.db import (
    bindings,
    deallocation,
    floating_ips,
    floating_lists,
    floating_pools,
    models,
    security_groups,
)
from flatnet.plan.kept_rows import Kept
from flatnet.plan.planned import planned
from flatnet.state.plan import Uplink
from flatnet.state.requester import Requester
from flatnet.state.rows import ARRIVING, GONE, LEAVING, SERVING
from flatnet.state.scope import EVERYTHING, Scope
from tests.db.conftest import (
    HOLDER,
    a_network,
    addresses_of,
    allocate,
    an_instance,
)

RULE = {"protocol": "tcp", "from_port": 22, "to_port": 22}
INSTANCES = models.instances
NETWORKS = models.networks
FIXED_IPS = models.fixed_ips
MEMBERS = models.security_group_instance_association
BINDINGS = models.port_bindings
RULES = models.security_group_rules
ADMIN = Requester(is_admin=True)
SETTINGS = Settings(host="node1", flat_interface="eth1")
UPLINKS = ({}, {"eth1": Uplink("eth1", 1400)}, {"eth1": Uplink("eth1", 1500)})


def host_rows(database):
    """The rows of node1, none of whose bridges are there."""
    roles = ServerRoles(
        database, "node1", quarantine=600, hardware=lambda _: None
    )
    return DatabaseRows(database, "node1", holder=HOLDER, roles=roles)


class World:
    """Hosts with instances and groups, and what node1 knows of them."""

    def __init__(self, database, **network):
        self.database = database
        self.rows = host_rows(database)
        self.addressed = True
        self.uplinks = {}
        self.planner = HostPlanner(SETTINGS)
        self.network = a_network(database, cidr_v6="fd00::/64", **network)
        self.groups = [
            security_groups.create(
                database, name=f"g{number}", project_id="demo"
            ).id
            for number in range(4)
        ]
        floating_pools.create(database, name="nova", cidr="203.0.113.0/30")
        self.floating = [
            floating_ips.allocate(database, pool=None, project_id="demo")
            for _ in range(2)
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

    def find(self, chance):
        """A guest in its port, here or there."""
        return self._edit(
            BINDINGS.c.instance_uuid,
            chance,
            found=["up", "missing"],
            carrier=[True, False],
        )

    def lead(self, chance):
        """A floating address to somebody, or to nobody."""
        if not self.instances:
            return Scope()
        address = chance.choice(self.floating)
        before = floating_lists.get(self.database, address).instance_uuid
        given = {"address": address, "requester": ADMIN}
        instance = chance.choice(self.instances)
        if before and chance.random() < 0.3:
            floating_ips.disassociate(self.database, **given)
        else:
            fixed, *_ = addresses_of(self.database, instance)
            floating_ips.associate(self.database, fixed_address=fixed, **given)
        return Scope(instances=frozenset({before, instance.uuid} - {None}))

    def hand_over(self, chance):
        """The role of the network's one server, in rows alone.

        Who is in a scope tells of it, whoever that is.
        """
        host = chance.choice(("node1", "node1", "node2"))
        self.write(update(NETWORKS).values(host=host))
        if chance.random() < 0.3 or not self.instances:
            return EVERYTHING
        uuid = chance.choice(self.instances).uuid
        return Scope(instances=frozenset((uuid,)))

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

    def look(self, scope, *, unnamed=False):
        """Read and plan what is in the scope, and compare it with all."""
        self.known = self.rows.read(scope, self.known)
        plan = self.planner.plan
        self.planned = plan(self.known, self.uplinks, self.planned)
        whole = self.rows.read(EVERYTHING, Kept())
        # Nor does it depend on what was read before.
        newcomer = host_rows(self.database)
        assert whole == newcomer.read(EVERYTHING, Kept())
        if unnamed:
            whole = replace(whole, named=self.known.named)
        assert self.known == whole
        afresh = planned(whole, SETTINGS, self.uplinks)
        assert self.planned.parts == afresh.parts
        assert [*self.planned.warnings()] == [*afresh.warnings()]
