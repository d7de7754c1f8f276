"""Rows of a small cloud, as the daemons of two hosts write them.

Each write returns the scope that its daemon asks for.  The pools are so small
that addresses go from one instance to another.
"""

import sqlite3
from dataclasses import dataclass

from flatnet.db import (
    allocation,
    bindings,
    deallocation,
    memberships,
    models,
    security_groups,
)
from flatnet.db.engine import Database
from flatnet.exceptions import FlatnetError
from flatnet.plan.port import port_name
from flatnet.state.scope import NOTHING, Scope, of_instance
from tests.db.conftest import a_network, an_instance, rows

HOST, OTHER = "node1", "node2"
# Of the first network if the host's daemon is told so, and of the second.
UPLINKS = ("eth1", "eth2")
MOST = 7
RULES = (
    {"protocol": "tcp", "from_port": 22, "to_port": 22},
    {"protocol": "tcp", "from_port": 20, "to_port": 90, "family": 6},
    {"protocol": "tcp", "from_port": 80, "to_port": 80}
    | {"cidr": "198.51.100.0/24"},
    {"protocol": "udp", "from_port": 53, "to_port": 53},
    {"protocol": "icmp"},
    {"cidr": "10.0.1.0/28"},
)


@dataclass(frozen=True)
class Cloud:
    """Two networks, some groups, and the instances of two hosts.

    `path` is that of the file of the `database`.
    """

    database: Database
    path: str

    def build(self):
        """Write what is there from the first."""
        a_network(self.database, cidr="10.0.0.0/28", cidr_v6="2001:db8::/64")
        a_network(
            self.database,
            cidr="10.0.1.0/28",
            bridge="br101",
            bridge_interface=UPLINKS[1],
        )
        for number in range(4):
            self._make_group(number)

    def _make_group(self, number):
        security_groups.create(
            self.database, name=f"g{number}", project_id="demo"
        )

    def make_group(self):
        """Make another group."""
        last = max(each["id"] for each in self.all("security_groups"))
        self._make_group(last + len(self.all("instances")))

    def sql(self, statement, *values):
        """Run a statement as somebody does who knows no constraints."""
        connection = sqlite3.connect(self.path)
        try:
            with connection:
                connection.execute(statement, values)
        finally:
            connection.close()

    def all(self, table, **wanted):
        """The rows of a table that have these values, by id."""
        return rows(self.database, getattr(models, table), **wanted)

    def living(self):
        """The uuids of the instances that live, by age."""
        return [each["uuid"] for each in self.all("instances", deleted=0)]

    def ports(self):
        """The bridge of each interface of this host by its port's name."""
        bridges = {e["id"]: e["bridge"] for e in self.all("networks")}
        here = {e["uuid"] for e in self.all("instances", deleted=0, host=HOST)}
        return {
            port_name(each["uuid"]): bridges[each["network_id"]]
            for each in self.all("virtual_interfaces")
            if each["instance_uuid"] in here
        }

    def group(self, chance):
        """The id of one of the groups."""
        return chance.choice(self.all("security_groups"))["id"]


def some(chance, found):
    """One of these, none where there is none."""
    return chance.choice(found) if found else None


def come(cloud, chance):
    """Allocate for a new instance, here or elsewhere."""
    if len(cloud.living()) >= MOST:
        return go(cloud, chance)
    host = chance.choice((HOST, HOST, HOST, OTHER))
    number = len(cloud.all("instances"))
    made = an_instance(cloud.database, host=host, hostname=f"vm_{number}")
    for _ in range(chance.choice((0, 1, 1, 2))):
        memberships.add_instance(
            cloud.database, group=cloud.group(chance), instance=made.uuid
        )
    return _allocated(cloud, chance, uuid=made.uuid, host=host)


def again(cloud, chance):
    """Allocate for one that lives, whether it has anything or not."""
    each = some(chance, cloud.all("instances", deleted=0))
    if each is None:
        return NOTHING
    return _allocated(cloud, chance, uuid=each["uuid"], host=each["host"])


def _allocated(cloud, chance, *, uuid, host):
    """Allocate for an instance, on all networks or on one of them."""
    wanted = None
    if chance.random() < 0.4:
        network = chance.choice(cloud.all("networks"))
        wanted = ((network["uuid"], None),)
    try:
        allocation.allocate(
            cloud.database,
            instance_uuid=uuid,
            placement=allocation.Placing(host, quarantine=0),
            requested=wanted,
        )
    except FlatnetError:
        # The pool is empty, or it has its place already.
        return NOTHING
    return of_instance(uuid, renewed=True)


def go(cloud, chance):
    """Deallocate."""
    uuid = some(chance, cloud.living())
    if uuid is None:
        return NOTHING
    deallocation.deallocate(cloud.database, instance_uuid=uuid)
    return of_instance(uuid)


def join(cloud, chance):
    """Put an instance into a group."""
    uuid = some(chance, cloud.living())
    if uuid is None:
        return NOTHING
    group = cloud.group(chance)
    memberships.add_instance(cloud.database, group=group, instance=uuid)
    return _membership(chance, group, uuid)


def leave(cloud, chance):
    """Take an instance out of a group."""
    living = set(cloud.living())
    groups = {each["id"] for each in cloud.all("security_groups")}
    each = some(
        chance,
        [
            each
            for each in cloud.all("security_group_instance_association")
            if each["instance_uuid"] in living
            and each["security_group_id"] in groups
        ],
    )
    if each is None:
        return NOTHING
    group, uuid = each["security_group_id"], each["instance_uuid"]
    memberships.remove_instance(cloud.database, group=group, instance=uuid)
    return _membership(chance, group, uuid)


def _membership(chance, group, uuid):
    """What a hint names: the instance, or the group as a whole."""
    if chance.random() < 0.6:
        return of_instance(uuid)
    whole = frozenset((group,))
    return Scope(groups=whole, members=whole)


def rule(cloud, chance):
    """Let something in to a group, from somewhere or from a group."""
    if chance.random() < 0.1:
        cloud.make_group()
    group = cloud.group(chance)
    values = dict(chance.choice(RULES))
    if chance.random() < 0.5:
        values.pop("cidr", None)
        values.pop("family", None)
        values["source_group"] = cloud.group(chance)
    security_groups.create_rule(cloud.database, group=group, **values)
    return Scope(groups=frozenset((group,)))


def unrule(cloud, chance):
    """Take a rule away."""
    each = some(chance, cloud.all("security_group_rules"))
    if each is None:
        return NOTHING
    security_groups.delete_rule(cloud.database, each["id"])
    return Scope(groups=frozenset((each["parent_group_id"],)))


def dismiss(cloud, chance):
    """Rid this host of an instance, wherever it is by its row."""
    uuid = some(chance, cloud.living())
    if uuid is None:
        return NOTHING
    bindings.dismiss(cloud.database, instance_uuid=uuid, host=HOST)
    return of_instance(uuid)


CALLS = (
    *(come, come, come, go, again, join, join, leave, rule, rule, unrule),
    dismiss,
)
