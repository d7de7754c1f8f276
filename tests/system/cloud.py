"""Two isolated nodes with guests, and what of them can be reached."""

import contextlib
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from flatnet.db import instances, memberships, security_groups
from flatnet.db.engine import Database
from flatnet.lab.lab import Lab
from flatnet.lab.spec import STATE_DIRECTORY, LabSpec
from flatnet.state.eui64 import eui64_address
from tests import sockets
from tests.system.rows import allocate, new_network

OPTIONS = (("allow_same_net_traffic", "False"), ("reconcile_interval", "2"))
# Guest, node and tenant: each pair is the same or another, in both.
PLACEMENT = (
    ("vm_1", 1, "blue"),
    ("vm_2", 1, "red"),
    ("vm_3", 2, "blue"),
    ("vm_4", 2, "red"),
)
SECONDS = 15
PROBES = (("icmp", 8), ("tcp", 22), ("tcp", 23), ("udp", 5000))


@dataclass(frozen=True)
class Placed:
    """A guest, where it is and what it has."""

    guest: object
    node: object
    uuid: str
    address: str
    mac: str
    lease: object = None

    @property
    def link_local(self):
        return f"{eui64_address('fe80::/64', self.mac)}%eth0"


class Cloud:
    """A lab with its guests by name, and those who may probe them."""

    def __init__(self, lab, guests):
        self.lab = lab
        self.guests = guests
        self.namespaces = {
            name: lab.spec.namespace(name)
            for name in (*guests, "node1", "node2", "outside")
        }

    def seen(self):
        """All that gets an answer, as (source, target, protocol, number)."""
        with ThreadPoolExecutor() as threads:
            found = threads.map(self.seen_from, self.namespaces)
            return {
                (source, *target)
                for source, targets in zip(self.namespaces, found, strict=True)
                for target in targets
            }

    def seen_from(self, source):
        """What gets an answer, as (target, protocol, number)."""
        targets = {}
        for name, placed in self.guests.items():
            if name == source:
                continue
            for protocol, number in PROBES:
                key = (protocol, placed.address, number)
                targets[key] = (name, protocol, number)
            if source in self.guests:
                key = ("icmp", placed.link_local, 128)
                targets[key] = (name, "icmp", 128)
        answers = sockets.answered(self.namespaces[source], targets)
        return {targets[answer] for answer in answers}

    @contextlib.contextmanager
    def group(self, name, *members, **rule):
        """A group with these members and one rule, until the block ends."""
        with contextlib.closing(Database(self.lab.database_url)) as database:
            group = security_groups.create(
                database, name=name, project_id="blue"
            ).id
            for member in members:
                memberships.add_instance(
                    database, group=group, instance=member
                )
            if rule:
                security_groups.create_rule(database, group=group, **rule)
            try:
                yield group
            finally:
                for member in self.guests:
                    self.leave(group, member)
                security_groups.delete(database, group)

    def leave(self, group, member):
        self.sql(
            "DELETE FROM security_group_instance_association WHERE "
            "security_group_id = ? AND instance_uuid = ?",
            (group, self.guests[member].uuid),
        )

    def sql(self, statement, values):
        """What an operator types into the database's own client."""
        with contextlib.closing(Database(self.lab.database_url)) as database:
            database.write(
                lambda connection: connection.exec_driver_sql(
                    statement, values
                )
            )


def eventually(look, wanted):
    """Look until it is as wanted; at the end show what there was."""
    deadline = time.monotonic() + SECONDS
    while (found := look()) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found == wanted


def place(lab, hostname, number, project):
    """Write an instance's row, allocate for it and plug its guest in."""
    node = lab.node(number)
    with contextlib.closing(Database(lab.database_url)) as database:
        uuid = instances.create(
            database, hostname=hostname, host=node.name, project_id=project
        ).uuid
    [vif] = allocate(lab, uuid, node.name)
    guest = lab.guest(hostname, node=node, vif_uuid=vif["id"])
    address = vif["network"]["subnets"][0]["ips"][0]["address"]
    return Placed(guest, node, uuid, address, vif["address"])


@contextlib.contextmanager
def clouds(*options, **network):
    """A cloud of the four guests, without addresses.

    :param network: what its network is beside the usual
    """
    name = f"t{secrets.token_hex(4)}"
    spec = LabSpec(
        name=name,
        directory=STATE_DIRECTORY / name,
        options=OPTIONS + options,
    )
    with Lab(spec, say=print) as lab:
        new_network(lab, **network)
        cloud = Cloud(lab, {each[0]: place(lab, *each) for each in PLACEMENT})
        for placed in cloud.guests.values():
            # Its link-local address is no source before it is known as good.
            eventually(
                lambda guest=placed.guest: (
                    "tentative" in guest.run(["ip", "-6", "addr"])
                ),
                False,
            )
        yield cloud
