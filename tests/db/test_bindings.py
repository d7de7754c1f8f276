"""Who has a port: what callers ask for, and what hosts confirm."""

import pytest
from sqlalchemy import insert, text, update

from flatnet.db import (
    bindings,
    deallocation,
    findings,
    instances,
    models,
    schema,
    snapshot,
)
from flatnet.state.rows import (
    ARRIVING,
    GONE,
    LEAVING,
    SERVING,
    Binding,
    Finding,
)
from tests.db.conftest import (
    a_network,
    addresses_of,
    allocate,
    an_instance,
    bound_here,
    rows,
    some_uuid,
)


def bound(database, **wanted):
    """(host, wanted, found) of all bindings that have these values."""
    return [
        (row["host"], row["wanted"], row["found"])
        for row in rows(database, models.port_bindings, **wanted)
    ]


def change(database, instance, **values):
    """Write to the row of an instance as its owner does."""
    statement = (
        update(models.instances)
        .where(models.instances.c.uuid == instance.uuid)
        .values(values)
    )
    database.write(lambda c: c.execute(statement).rowcount)


def interface(database, instance):
    """The uuid of the one interface of an instance."""
    table = models.virtual_interfaces
    (row,) = rows(database, table, instance_uuid=instance.uuid)
    return row["uuid"]


def record(database, host, instance, found, *, uuid=None, **fields):
    finding = Finding(
        uuid or interface(database, instance), instance.uuid, found, **fields
    )
    recorded = findings.record(
        database,
        host=host,
        findings=[finding],
        known=bound_here(database, host),
    )
    if uuid is None:
        now = bound_here(database, host)
        assert recorded.bindings == tuple(
            now[uuid] for uuid in now.keys() & {finding.interface_uuid}
        )
    return recorded.uncovered


@pytest.fixture
def placed(database):
    """An instance that was allocated on node1."""
    a_network(database)
    instance = an_instance(database)
    allocate(database, instance, plug="veth")
    return instance


def here(database, host):
    return [each.hostname for each in snapshot.read(database, host).interfaces]


def test_allocation_binds_each_interface_once(database, placed):
    allocate(database, placed, plug="tap")
    (row,) = rows(database, models.port_bindings)
    assert (row["host"], row["wanted"], row["plug"]) == (
        "node1",
        SERVING,
        "veth",
    )
    assert row["interface_uuid"] == interface(database, placed)
    assert row["instance_uuid"] == placed.uuid


def test_a_snapshot_has_the_bindings_of_its_host(database, placed):
    record(database, "node1", placed, "shut", reason="no room", carrier=True)
    (found,) = snapshot.read(database, "node1").bindings
    assert found == Binding(
        interface_uuid=interface(database, placed),
        instance_uuid=placed.uuid,
        wanted=SERVING,
        plug="veth",
        found="shut",
        carrier=True,
        reason="no room",
    )
    assert snapshot.read(database, "node2").bindings == ()


def test_deallocation_leaves_a_tombstone_until_the_host_confirms(
    database, placed
):
    uuid = interface(database, placed)
    record(database, "node1", placed, "up")
    wanted = {"instance_uuid": placed.uuid}
    assert deallocation.deallocate(database, **wanted) == ("node1",)
    assert bound(database) == [("node1", GONE, None)]
    assert here(database, "node1") == []
    # Asked again it still says who is to follow.
    assert deallocation.deallocate(database, **wanted) == ("node1",)
    record(database, "node1", placed, "held", uuid=uuid)
    assert bound(database) == [("node1", GONE, None)]
    record(database, "node1", placed, "missing", uuid=uuid)
    assert bound(database) == []
    assert deallocation.deallocate(database, **wanted) == ()


@pytest.mark.parametrize("named", [True, False])
def test_what_was_never_bound_leaves_a_tombstone_too(database, placed, named):
    """Of before the table, or moved by writing to the row."""
    database.write(lambda c: c.execute(models.port_bindings.delete()).rowcount)
    if not named:
        change(database, placed, host=None)
    hosts = deallocation.deallocate(
        database, instance_uuid=placed.uuid, hint="node1"
    )
    assert hosts == ("node1",)
    assert bound(database) == [("node1", GONE, None)]


def test_a_deleted_instance_keeps_nothing(database, placed):
    """Whoever allocated it too late."""
    change(database, placed, deleted=placed.id)
    found = snapshot.read(database, "node1")
    assert (found.interfaces, found.departed) == ((), (placed.uuid,))
    assert snapshot.read(database, "node2").departed == ()
    deallocation.deallocate_departed(database, host="node2")
    assert rows(database, models.fixed_ips, instance_uuid=placed.uuid)
    deallocation.deallocate_departed(database, host="node1")
    assert not rows(database, models.fixed_ips, instance_uuid=placed.uuid)
    assert rows(database, models.virtual_interfaces) == []
    assert bound(database) == [("node1", GONE, None)]
    assert snapshot.read(database, "node1").departed == ()


def test_a_host_that_is_made_ready_has_the_instance_too(database, placed):
    bindings.expect(
        database, instance_uuid=placed.uuid, host="node2", plug="tap"
    )
    assert bound(database, host="node2") == [("node2", ARRIVING, None)]
    assert here(database, "node1") == here(database, "node2") == ["vm_1"]
    (there,) = snapshot.read(database, "node2").interfaces
    assert there.host == "node1"
    # The row follows, and then the source is told to let go.
    change(database, placed, host="node2")
    record(database, "node2", placed, "up")
    assert bound(database, host="node2") == [("node2", SERVING, "up")]
    bindings.dismiss(database, instance_uuid=placed.uuid, host="node1")
    assert bound(database, host="node1") == [("node1", GONE, None)]
    assert here(database, "node1") == []
    record(database, "node1", placed, "missing")
    assert bound(database, host="node1") == []


def test_an_instance_leaves_until_its_move_ends_or_is_given_up(
    database, placed
):
    mine = {"instance_uuid": placed.uuid}
    record(database, "node1", placed, "up")
    bindings.expect(database, **mine, host="node2", plug="tap")
    bindings.leave(database, **mine, host="node1")
    assert bindings.dismiss(database, **mine, host="node3") == ()
    assert bound(database, host="node1") == [("node1", LEAVING, "up")]
    assert bindings.dismiss(database, **mine, host="node2") == ("node1",)
    assert bound(database, host="node1") == [("node1", SERVING, "up")]
    bindings.expect(database, **mine, host="node2", plug="tap")
    bindings.leave(database, **mine, host="node1")
    change(database, placed, host="node2")
    assert bindings.dismiss(database, **mine, host="node2") == ()
    assert record(database, "node1", placed, "missing")


def test_a_port_that_was_let_go_stays_away_while_the_row_names_the_host(
    database, placed
):
    """The tombstone is all that says it, until somebody asks again."""
    bindings.dismiss(database, instance_uuid=placed.uuid, host="node1")
    record(database, "node1", placed, "missing")
    assert bound(database) == [("node1", GONE, "missing")]
    assert here(database, "node1") == []
    wanted = {"instance_uuid": placed.uuid, "host": "node1"}
    bindings.expect(database, **wanted, plug="tap")
    (row,) = rows(database, models.port_bindings)
    assert (row["wanted"], row["found"], row["plug"]) == (
        SERVING,
        None,
        "tap",
    )
    assert here(database, "node1") == ["vm_1"]


def test_a_row_that_moved_without_a_call_is_here_until_its_port_went(
    database, placed
):
    record(database, "node1", placed, "up", carrier=True)
    change(database, placed, host="node2")
    assert here(database, "node1") == here(database, "node2") == ["vm_1"]
    assert snapshot.read(database, "node1").elsewhere == ()
    # The other host adopts it.
    assert not record(database, "node2", placed, "up", plug="tap")
    assert bound(database, host="node2") == [("node2", SERVING, "up")]
    assert snapshot.read(database, "node1").elsewhere == ()
    record(database, "node2", placed, "up", carrier=True)
    uuid = interface(database, placed)
    assert snapshot.read(database, "node1").elsewhere == (uuid,)
    assert record(database, "node1", placed, "missing")
    assert here(database, "node1") == []


def test_a_finding_of_what_is_gone_by_now_is_worth_nothing(database, placed):
    uuid = interface(database, placed)
    deallocation.deallocate(database, instance_uuid=placed.uuid)
    record(database, "node1", placed, "missing", uuid=uuid)
    record(database, "node1", placed, "up", uuid=uuid)
    assert bound(database) == []


def test_an_upgrade_binds_what_is_there(database, placed):
    other = an_instance(database, hostname="vm_2", host="node2")
    allocate(database, other)
    schema.downgrade(database, "0001")
    schema.upgrade(database)
    schema.upgrade(database)
    assert sorted(bound(database)) == [
        ("node1", SERVING, None),
        ("node2", SERVING, None),
    ]
    assert {row["plug"] for row in rows(database, models.port_bindings)} == {
        None
    }


def test_an_upgrade_that_was_cut_off_is_finished(database, placed):
    schema.downgrade(database, "0001")
    schema.upgrade(database)
    statement = text("UPDATE alembic_version SET version_num = '0001'")
    database.write(lambda c: c.execute(statement).rowcount)
    stray = insert(models.port_bindings).values(
        interface_uuid=some_uuid(),
        instance_uuid=some_uuid(),
        host="node3",
        wanted=SERVING,
    )
    database.write(lambda c: c.execute(stray).rowcount)
    schema.upgrade(database)
    assert sorted(bound(database)) == [
        ("node1", SERVING, None),
        ("node3", SERVING, None),
    ]


def test_a_uuid_in_capitals_is_a_uuid(database):
    """As a compute service wrote it, and however callers spell it."""
    a_network(database)
    written = "AAAAAAAA-BBBB-4CCC-8DDD-EEEEEEEEEEEE"
    database.write(
        lambda connection: connection.execute(
            insert(models.instances).values(
                uuid=written, hostname="vm_1", host="node1", project_id="demo"
            )
        )
    )
    for spelling in (written, written.lower()):
        instance = instances.get(database, spelling)
        assert instance.uuid == written
        allocate(database, instance)
    assert addresses_of(database, instance) == ["10.0.0.2"]
    database.write(
        lambda connection: connection.execute(models.instances.delete())
    )
    gone = instances.uuid_of(database, written.lower())
    deallocation.deallocate(database, instance_uuid=gone)
    assert addresses_of(database, instance) == []
