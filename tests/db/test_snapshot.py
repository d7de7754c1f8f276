"""The rows of one host, and only those, in a number of queries."""

import pytest
from sqlalchemy import delete, event, insert, update

from flatnet.db import (
    deallocation,
    memberships,
    models,
    security_groups,
    snapshot,
)
from flatnet.db.row_cache import RowCache
from flatnet.state.rows import SecurityGroup, SecurityRule, Snapshot
from tests.db.conftest import a_network, allocate, an_instance


def test_empty_host(database):
    assert snapshot.read(database, "node1") == Snapshot(host="node1")


def test_host_sees_its_own(database):
    network = a_network(database)
    a_network(database, cidr="10.1.0.0/24", bridge="br101")
    here = [an_instance(database, hostname=f"vm_{n}") for n in (1, 2)]
    there = an_instance(database, hostname="vm_3", host="node2")
    for instance in (*here, there):
        allocate(database, instance, requested=[(network.uuid, None)])
    found = snapshot.read(database, "node1")
    assert found.networks == (network,)
    assert found.host_addresses == ((network.id, "10.0.0.1"),)
    assert [
        (each.hostname, each.instance_uuid, each.addresses)
        for each in found.interfaces
    ] == [
        ("vm_1", here[0].uuid, ("10.0.0.2",)),
        ("vm_2", here[1].uuid, ("10.0.0.3",)),
    ]
    assert {each.network_id for each in found.interfaces} == {network.id}
    assert [each.instance_id for each in found.interfaces] == [
        each.id for each in here
    ]
    other = snapshot.read(database, "node2")
    assert [each.hostname for each in other.interfaces] == ["vm_3"]
    assert other.host_addresses == ((network.id, "10.0.0.4"),)


def test_dead_and_deallocated_instances_are_not_here(database):
    """One that moved without a call is in both: see test_bindings."""
    network = a_network(database)
    placed = [an_instance(database, hostname=f"vm_{n}") for n in range(4)]
    for instance in placed:
        allocate(database, instance)
    for instance, values in (
        (placed[0], {"deleted": placed[0].id}),
        (placed[1], {"host": "node2"}),
    ):
        change = (
            update(models.instances)
            .where(models.instances.c.id == instance.id)
            .values(values)
        )
        database.write(lambda c, change=change: c.execute(change).rowcount)
    deallocation.deallocate(database, instance_uuid=placed[2].uuid)
    found = snapshot.read(database, "node1")
    assert [each.hostname for each in found.interfaces] == ["vm_1", "vm_3"]
    assert found.departed == (placed[0].uuid,)
    moved = snapshot.read(database, "node2")
    assert [each.hostname for each in moved.interfaces] == ["vm_1"]
    assert moved.networks == (network,)
    assert moved.host_addresses == ()


def test_what_is_no_address_keeps_no_other_from_being_read(database):
    """It is for the plan to leave it out, and for the host to name it."""
    a_network(database)
    placed = [an_instance(database, hostname=f"vm_{n}") for n in range(2)]
    for instance in placed:
        allocate(database, instance)
    change = (
        update(models.fixed_ips)
        .where(models.fixed_ips.c.instance_uuid == placed[0].uuid)
        .values(address="10.0.0.300")
    )
    database.write(lambda connection: connection.execute(change).rowcount)
    found = snapshot.read(database, "node1")
    assert [each.addresses for each in found.interfaces] == [
        ("10.0.0.3",),
        ("10.0.0.300",),
    ]


def test_order_is_by_network_and_number(database):
    network = a_network(database)
    for address in ("10.0.0.100", "10.0.0.20", "10.0.0.3"):
        allocate(
            database,
            an_instance(database),
            requested=[(network.uuid, address)],
        )
    found = snapshot.read(database, "node1")
    assert [each.addresses for each in found.interfaces] == [
        ("10.0.0.3",),
        ("10.0.0.20",),
        ("10.0.0.100",),
    ]


RULE = {"protocol": "tcp", "from_port": 80, "to_port": 80}


def grouped(database):
    """Three instances in four groups; return the groups' ids by name.

    `here` is in app and front, `web` of another host in front and other,
    `dead` of another host was in front; nobody is in idle.
    """
    here = an_instance(database, hostname="here")
    web = an_instance(database, hostname="web", host="node2")
    dead = an_instance(database, hostname="dead", host="node2")
    for instance in (here, web, dead):
        allocate(database, instance)
    groups = {
        name: security_groups.create(database, name=name, project_id="demo").id
        for name in ("app", "front", "idle", "other")
    }
    for name, instance in (
        ("front", here),
        ("app", here),
        ("front", web),
        ("front", dead),
        ("other", web),
    ):
        memberships.add_instance(
            database, group=groups[name], instance=instance.uuid
        )
    gone = (
        update(models.instances)
        .where(models.instances.c.id == dead.id)
        .values(deleted=dead.id)
    )
    database.write(lambda connection: connection.execute(gone).rowcount)
    return groups


def test_groups_rules_and_members_of_source_groups(database):
    a_network(database)
    groups = grouped(database)
    app, front, idle = (groups[name] for name in ("app", "front", "idle"))
    ids = [
        security_groups.create_rule(
            database, group=app, source_group=source, **RULE
        ).id
        for source in (front, idle)
    ]
    found = snapshot.read(database, "node1")
    (interface,) = found.interfaces
    assert interface.security_group_ids == (app, front)
    assert found.security_groups == (
        SecurityGroup(
            id=app,
            name="app",
            rules=(
                SecurityRule(id=ids[0], group_id=front, **RULE),
                SecurityRule(id=ids[1], group_id=idle, **RULE),
            ),
        ),
        SecurityGroup(id=front, name="front"),
    )
    assert sorted((m.group, m.addresses) for m in found.members) == [
        (front, ("10.0.0.2",)),
        (front, ("10.0.0.4",)),
    ]


@pytest.mark.parametrize("number", [1, 40])
def test_number_of_queries_is_constant(database, number):
    a_network(database)
    group = security_groups.create(database, name="g", project_id="demo")
    security_groups.create_rule(database, group=group.id, cidr="0.0.0.0/0")
    for _ in range(number):
        instance = an_instance(database)
        allocate(database, instance)
        row = {"security_group_id": group.id, "instance_uuid": instance.uuid}
        joined = insert(models.security_group_instance_association).values(row)
        database.write(lambda c, joined=joined: c.execute(joined).rowcount)
    asked = []

    def count(connection, cursor, statement, *rest):
        if statement.lstrip().startswith("SELECT"):
            asked.append(statement)

    event.listen(database._reading, "before_cursor_execute", count)
    found = snapshot.read(database, "node1")
    assert len(found.interfaces) == number
    assert len(asked) == 8


def test_what_is_as_it_was_read_last_is_the_same_object(database):
    """So that nothing is made of it again."""
    a_network(database)
    instance = an_instance(database)
    allocate(database, instance)
    last = RowCache()
    before = snapshot.read(database, "node1", last)
    assert snapshot.read(database, "node1", last) is before


def test_of_what_was_written_since_that_alone_is_made(database):
    a_network(database)
    first, second = (an_instance(database, hostname=f"vm_{n}") for n in (1, 2))
    allocate(database, first)
    last = RowCache()
    before = snapshot.read(database, "node1", last)
    allocate(database, second)
    after = snapshot.read(database, "node1", last)
    assert after == snapshot.read(database, "node1")
    assert after.interfaces[0] is before.interfaces[0]
    assert any(each is before.bindings[0] for each in after.bindings)
    assert len(after.interfaces) == len(after.bindings) == 2


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (models.instances, {"hostname": "other"}),
        (models.virtual_interfaces, {"address": "fa:16:3e:00:00:77"}),
        (models.fixed_ips, {"address": "10.0.0.77"}),
        (models.port_bindings, {"found": "missing"}),
        (models.networks, {"dns1": "192.0.2.53"}),
        (models.security_groups, {"name": "other"}),
        (models.security_group_rules, {"from_port": 21}),
        (models.security_group_instance_association, None),
    ],
)
def test_what_was_written_since_is_read(database, table, values):
    a_network(database)
    group = security_groups.create(database, name="web", project_id="demo").id
    security_groups.create_rule(
        database,
        group=group,
        protocol="tcp",
        from_port=22,
        to_port=22,
        source_group=group,
    )
    instance = an_instance(database)
    memberships.add_instance(database, group=group, instance=instance.uuid)
    allocate(database, instance)
    last = RowCache()
    before = snapshot.read(database, "node1", last)
    changed = delete(table) if values is None else update(table)
    if table is models.fixed_ips:
        changed = changed.where(table.c.instance_uuid == instance.uuid)
    if values:
        changed = changed.values(**values)
    database.write(lambda c: c.execute(changed).rowcount)
    found = snapshot.read(database, "node1", last)
    assert found != before
    assert found == snapshot.read(database, "node1")
