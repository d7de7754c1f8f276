"""Which groups an instance is in, and what a change of them comes to."""

import threading

import pytest

from flatnet.db import memberships, models, security_groups
from flatnet.exceptions import (
    InstanceNotFound,
    SecurityGroupInUse,
    SecurityGroupNotFound,
)
from tests.db.conftest import an_instance, contents, rows
from tests.db.gathering import statements
from tests.db.test_security_groups import a_group

MEMBERS = models.security_group_instance_association


def groups_of(database, instance):
    found = rows(database, MEMBERS, instance_uuid=instance.uuid)
    return {row["security_group_id"] for row in found}


def test_members_come_and_go(database):
    group, instance = a_group(database), an_instance(database)
    pair = {"group": "web", "instance": "vm_1"}
    memberships.add_instance(database, **pair)
    memberships.add_instance(database, **pair)
    (row,) = rows(database, models.security_group_instance_association)
    assert row["security_group_id"] == group.id
    assert row["instance_uuid"] == instance.uuid
    with pytest.raises(SecurityGroupInUse, match=instance.uuid):
        security_groups.delete(database, "web")
    memberships.remove_instance(database, **pair)
    memberships.remove_instance(database, **pair)
    security_groups.delete(database, "web")
    assert security_groups.list_all(database) == ()
    with pytest.raises(SecurityGroupNotFound):
        memberships.add_instance(database, **pair)


def test_member_that_does_not_exist(database):
    a_group(database)
    with pytest.raises(InstanceNotFound, match="vm_1"):
        memberships.add_instance(database, group="web", instance="vm_1")


def test_groups_are_set_in_one_transaction(database):
    """They are these and no others, whatever they were."""
    web, front, idle = (
        a_group(database, name=name).id for name in ("web", "front", "idle")
    )
    instance = an_instance(database)
    other = an_instance(database, hostname="vm_2")
    memberships.add_instance(database, group=web, instance=other.uuid)
    for wanted, was in (
        (["web", "front"], set()),
        ([str(front), "idle", "idle"], {web, front}),
        (["idle", "front"], {front, idle}),
        ([], {front, idle}),
        ([], set()),
    ):
        with statements(database) as sent:
            done = memberships.set_groups(
                database, instance="vm_1", groups=wanted
            )
        assert sent.count("COMMIT") == 1
        assert groups_of(database, instance) == done.after
        assert (done.instance.uuid, done.before) == (instance.uuid, was)
        assert set(done.concerned) == was | done.after
        assert done.is_last_gone == bool(was and not wanted)
    assert groups_of(database, other) == {web}


def test_what_cannot_be_set_changes_nothing(database):
    a_group(database)
    an_instance(database)
    memberships.add_instance(database, group="web", instance="vm_1")
    before = contents(database)
    with pytest.raises(SecurityGroupNotFound, match="no"):
        memberships.set_groups(database, instance="vm_1", groups=["web", "no"])
    with pytest.raises(InstanceNotFound, match="vm_9"):
        memberships.set_groups(database, instance="vm_9", groups=[])
    assert contents(database) == before


def test_of_two_who_set_them_at_once_one_is_the_last(database):
    """And no group of the other is left."""
    names = ("web", "front")
    ids = {a_group(database, name=name).id for name in names}
    instance = an_instance(database)
    for _ in range(10):
        memberships.set_groups(database, instance="vm_1", groups=[])
        start = threading.Barrier(2)

        def set_one(name, start=start):
            start.wait(20)
            memberships.set_groups(
                database, instance=instance.uuid, groups=[name]
            )

        threads = [
            threading.Thread(target=set_one, args=(name,)) for name in names
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        found = groups_of(database, instance)
        assert len(found) == 1
        assert found <= ids
