"""Migrations up and down, and that they make what the models say."""

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from flatnet.db import (
    deallocation,
    instances,
    models,
    revision,
    schema,
    snapshot,
)
from flatnet.db.engine import Database
from flatnet.exceptions import SchemaMismatch
from tests.db.conftest import a_network, allocate, an_instance, some_uuid


@pytest.fixture
def bare(database):
    """A database before the first revision; at the newest afterwards."""
    schema.downgrade(database, "base")
    yield database
    _drop_instances(database)
    schema.upgrade(database)


def _drop_instances(database):
    schema.downgrade(database, "base")
    database.write(
        lambda connection: models.instances.drop(connection, checkfirst=True)
    )


def _tables(database):
    return database.read(
        lambda connection: set(
            sqlalchemy.inspect(connection).get_table_names()
        )
    )


def test_up_down_up(bare):
    schema.upgrade(bare)
    everything = {table.name for table in models.metadata.sorted_tables}
    assert _tables(bare) == everything | {"alembic_version"}
    schema.upgrade(bare)
    revision.check_revision(bare)
    schema.downgrade(bare, "base")
    assert _tables(bare) == {"instances", "alembic_version"}
    schema.upgrade(bare)
    assert _tables(bare) == everything | {"alembic_version"}


def test_two_interfaces_on_a_network_need_the_newest_tables(bare):
    """What was there stays, and what refers to it holds."""
    schema.upgrade(bare)
    network = a_network(bare)
    instance = an_instance(bare)
    allocate(bare, instance)
    before = snapshot.read(bare, "node1")
    schema.downgrade(bare, "0004")
    twice = {"requested": [(network.uuid, None)] * 2}
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        _write(
            bare,
            "INSERT INTO virtual_interfaces (uuid, address, network_id, "
            "instance_uuid) SELECT 'another', '02:00:00:00:00:01', "
            "network_id, instance_uuid FROM virtual_interfaces",
        )
    schema.upgrade(bare)
    assert snapshot.read(bare, "node1") == before
    allocate(bare, instance, **twice)
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        _write(bare, "DELETE FROM virtual_interfaces")
    with pytest.raises(SchemaMismatch, match=f"{instance.uuid} has two"):
        schema.downgrade(bare, "0004")
    schema.upgrade(bare)
    revision.check_revision(bare)
    deallocation.deallocate(bare, instance_uuid=instance.uuid)


def test_two_networks_on_a_bridge_need_the_newest_tables(bare):
    """What was there stays, and what refers to it holds."""
    schema.upgrade(bare)
    a_network(bare)
    allocate(bare, an_instance(bare))
    before = snapshot.read(bare, "node1")
    second = (
        "INSERT INTO networks (uuid, label, cidr, bridge, multi_host, "
        "enable_dhcp, injected, pool_first, pool_last, next_position) "
        "SELECT 'second', 'second', '10.1.0.0/24', bridge, multi_host, "
        "enable_dhcp, injected, 1, 9, 1 FROM networks WHERE label = 'private'"
    )
    schema.downgrade(bare, "0006")
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        _write(bare, second)
    schema.upgrade(bare)
    assert snapshot.read(bare, "node1") == before
    _write(bare, second)
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        _write(bare, "DELETE FROM networks")
    with pytest.raises(SchemaMismatch, match="br100 has two networks"):
        schema.downgrade(bare, "0006")
    # MariaDB has undone the revisions above by then.
    schema.upgrade(bare)
    revision.check_revision(bare)
    _write(bare, "DELETE FROM networks WHERE label = 'second'")


def test_migrations_make_what_the_models_say(database):
    differences = database.read(
        lambda connection: compare_metadata(
            MigrationContext.configure(
                connection,
                opts={
                    "compare_type": True,
                    # MariaDB keeps false as 0, which alembic takes for
                    # another default.
                    "compare_server_default": database.dialect != "mysql",
                },
            ),
            models.metadata,
        )
    )
    assert differences == []


def test_wrong_revision_is_refused_with_what_to_run(bare):
    with pytest.raises(SchemaMismatch, match=r"none.*flatnet db upgrade"):
        revision.check_revision(bare)


def test_newer_database_is_refused(database):
    _set_revision(database, "9999")
    try:
        with pytest.raises(SchemaMismatch, match="9999"):
            revision.check_revision(database)
        with pytest.raises(SchemaMismatch, match="9999"):
            schema.upgrade(database)
    finally:
        _set_revision(database, revision.HEAD)


@pytest.mark.parametrize("other", ["0000", "9999"])
def test_one_that_is_at_two_revisions_is_refused(database, other):
    """As a migration of two branches leaves it that ended half-way."""
    both = ", ".join(sorted((other, revision.HEAD)))
    _write(
        database, "INSERT INTO alembic_version VALUES (:other)", other=other
    )
    try:
        with pytest.raises(SchemaMismatch, match=f"at revision {both},"):
            revision.check_revision(database)
    finally:
        delete = "DELETE FROM alembic_version WHERE version_num = :other"
        _write(database, delete, other=other)


def test_the_revision_that_is_asked_for_is_the_newest():
    """Whoever adds one has to say so: nothing else reads the migrations."""
    newest = ScriptDirectory.from_config(schema._config()).get_current_head()
    assert newest == revision.HEAD


def _set_revision(database, revision):
    _write(
        database,
        "UPDATE alembic_version SET version_num = :revision",
        revision=revision,
    )


def _write(database, statement, **values):
    database.write(
        lambda connection: connection.execute(text(statement), values).rowcount
    )


def test_sqlite_directory_is_made(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/some/where/flatnet.sqlite")
    schema.upgrade(database)
    revision.check_revision(database)
    database.close()


def test_plain_insert_of_an_instance(database):
    uuid = some_uuid()
    statement = text(
        "INSERT INTO instances (uuid, hostname, host, project_id) "
        "VALUES (:uuid, 'vm_1', 'node1', 'demo')"
    )
    database.write(
        lambda connection: (
            connection.execute(statement, {"uuid": uuid}).rowcount
        )
    )
    found = instances.get(database, "vm_1")
    assert (found.uuid, found.host) == (uuid, "node1")
    assert found.id > 0


def test_instances_of_a_compute_service_are_used_as_they_are(bare):
    """Its table may have more columns, and another character set."""
    _drop_instances(bare)
    options = ""
    if bare.dialect == "mysql":
        options = " DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_general_ci"
    statements = (
        "CREATE TABLE instances (id INTEGER PRIMARY KEY, uuid VARCHAR(36), "
        "hostname VARCHAR(255), host VARCHAR(255), project_id VARCHAR(255), "
        "created_at TIMESTAMP NULL, updated_at TIMESTAMP NULL, "
        "deleted_at TIMESTAMP NULL, deleted INTEGER, "
        f"image_ref VARCHAR(255)){options}",
        "INSERT INTO instances (id, uuid, hostname, host, deleted) VALUES "
        "(7, '6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'vm_7', 'node1', 0)",
    )
    for statement in statements:
        bare.write(lambda c, s=statement: c.execute(text(s)) and 0)
    schema.upgrade(bare)
    a_network(bare)
    allocate(bare, instances.get(bare, 7))
    (interface,) = snapshot.read(bare, "node1").interfaces
    assert (interface.hostname, interface.addresses) == (
        "vm_7",
        ("10.0.0.2",),
    )


def test_hostnames_and_labels_differ_by_case(database):
    an_instance(database, hostname="VM", host="Node1")
    an_instance(database, hostname="vm", host="node1")
    a_network(database)
    assert instances.get(database, "vm").host == "node1"
    assert len(instances.list_all(database, "Node1")) == 1
