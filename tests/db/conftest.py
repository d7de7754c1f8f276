"""One database of each kind for the session, emptied for every test."""

import uuid as uuids
from datetime import timedelta

import pytest
import sqlalchemy

from flatnet.db import (
    allocation,
    instances,
    models,
    networks,
    schema,
    services,
    snapshot,
)
from flatnet.db.engine import Database
from flatnet.lab import servers

KINDS = ("sqlite", "mariadb", "postgresql")
QUARANTINE = 600


@pytest.fixture(scope="session", params=KINDS)
def url(request, tmp_path_factory):
    """The URL of a private server's database, at the newest revision."""
    directory = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        address = f"sqlite:///{directory}/flatnet.sqlite"
        _upgrade(address)
        yield address
        return
    # PostgreSQL runs as another user, who must be able to come here.
    for each in (directory, *directory.parents[:2]):
        each.chmod(0o755)
    with getattr(servers, request.param)(directory / "server") as address:
        _upgrade(address)
        yield address


def _upgrade(url):
    database = Database(url)
    schema.upgrade(database)
    database.close()


@pytest.fixture
def database(url):
    """The same, without a row."""
    database = Database(url)
    empty(database)
    yield database
    database.close()


def empty(database):
    """Delete all rows of flatnet's tables."""

    def run(connection):
        for table in reversed(models.metadata.sorted_tables):
            connection.execute(sqlalchemy.delete(table))

    database.write(run)


def a_network(database, **values):
    """A network; whatever is not given is 10.0.0.0/24 on br100.

    It is called `private`; on another bridge, by the bridge.
    """
    defaults = {"cidr": "10.0.0.0/24", "bridge": "br100", **values}
    bridge = defaults["bridge"]
    label = "private" if bridge == "br100" else f"on {bridge}"
    return networks.create(database, **{"label": label, **defaults})


def an_instance(database, **values):
    """An instance; whatever is not given is vm_1 of demo on node1."""
    defaults = {"hostname": "vm_1", "host": "node1", "project_id": "demo"}
    return instances.create(database, **{**defaults, **values})


HOLDER = "a boot of a machine"


def a_daemon(database, host, **told):
    """A flatnet-manager that reports from a host, and tells what is given."""
    daemon = {"host": host, "binary": "flatnet-manager", "holder": HOLDER}
    assert (
        services.claim(database, **daemon, machine="somewhere", patience=30)
        is None
    )
    if told:
        services.tell(database, **daemon, **told)


def silent(database, seconds):
    """Let the last reports be so long ago."""
    table = models.services

    def run(connection):
        for row in connection.execute(table.select()).all():
            connection.execute(
                sqlalchemy.update(table)
                .where(table.c.id == row.id)
                .values(
                    last_seen_up=row.last_seen_up - timedelta(seconds=seconds)
                )
            )

    database.write(run)


def allocate(database, instance, *, requested=None, macs=(), **placement):
    """Allocate as a daemon that is the instance's host does."""
    defaults = {"host": instance.host, "quarantine": QUARANTINE}
    allocation.allocate(
        database,
        instance_uuid=instance.uuid,
        placement=allocation.Placing(**{**defaults, **placement}),
        requested=requested,
        macs=macs,
    )


def bound_here(database, host):
    """The bindings of a host by interface, as a pass reads them."""
    bound = snapshot.read(database, host).bindings
    return {each.interface_uuid: each for each in bound}


def rows(database, table, **wanted):
    """All rows of a table that have these values, by id, as dicts."""
    chosen = sqlalchemy.select(table).filter_by(**wanted).order_by(table.c.id)
    return database.read(
        lambda connection: [
            dict(row) for row in connection.execute(chosen).mappings()
        ]
    )


def addresses_of(database, instance):
    """The addresses that an instance holds, ascending."""
    held = rows(database, models.fixed_ips, instance_uuid=instance.uuid)
    return [row["address"] for row in sorted(held, key=_position)]


def _position(row):
    return row["position"]


def contents(database):
    """Every row of every table: to see that nothing was changed."""
    return {
        table.name: rows(database, table)
        for table in models.metadata.sorted_tables
    }


def some_uuid():
    """A uuid that nobody has."""
    return str(uuids.uuid4())


def age(database, seconds):
    """Make all released addresses look as old as that."""
    released = (
        sqlalchemy.select(models.fixed_ips.c.id, models.fixed_ips.c.updated_at)
        .where(models.fixed_ips.c.instance_uuid.is_(None))
        .where(models.fixed_ips.c.host.is_(None))
    )

    def run(connection):
        for row in connection.execute(released).all():
            connection.execute(
                sqlalchemy.update(models.fixed_ips)
                .where(models.fixed_ips.c.id == row.id)
                .values(updated_at=row.updated_at - timedelta(seconds=seconds))
            )

    database.write(run)
