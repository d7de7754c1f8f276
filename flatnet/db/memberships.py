"""Which security groups an instance is in.

Each change is one transaction, and says what it came to: who is in no group
any more is filtered in another way than one who is in any.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select
from sqlalchemy import delete as delete_from

from flatnet.db import engine, instances, models
from flatnet.db.security_groups import find
from flatnet.db.turns import wait_for_turn
from flatnet.state.rows import Instance

MEMBERS = models.security_group_instance_association


@dataclass(frozen=True)
class Regrouped:
    """The ids of the groups that an instance was in, and is in now."""

    instance: Instance
    before: frozenset[int]
    after: frozenset[int]

    @property
    def concerned(self) -> tuple[int, ...]:
        """The groups whose rules may mean it otherwise now, ascending."""
        return tuple(sorted(self.before | self.after))

    @property
    def is_last_gone(self) -> bool:
        """Whether it was in a group, and is in none any more."""
        return bool(self.before) and not self.after


@engine.writes
def add_instance(
    connection: Connection, *, group: str | int, instance: str | int
) -> Regrouped:
    """Put a living instance into a group; again is a no-op.

    :raises SecurityGroupNotFound, InstanceNotFound: there is none
    """
    wanted = find(connection, group).id
    was = _was(connection, instance)
    return _write(connection, was, was.before | {wanted})


@engine.writes
def remove_instance(
    connection: Connection, *, group: str | int, instance: str | int
) -> Regrouped:
    """Take an instance out of a group; again is a no-op.

    :raises SecurityGroupNotFound, InstanceNotFound: there is none
    """
    unwanted = find(connection, group).id
    was = _was(connection, instance)
    return _write(connection, was, was.before - {unwanted})


@engine.writes
def set_groups(
    connection: Connection,
    *,
    instance: str | int,
    groups: Collection[str | int],
) -> Regrouped:
    """Let a living instance be in these groups and in no other.

    :raises SecurityGroupNotFound, InstanceNotFound: there is none
    """
    wanted = frozenset(find(connection, each).id for each in groups)
    return _write(connection, _was(connection, instance), wanted)


def _was(connection: Connection, instance: str | int) -> Regrouped:
    """The groups of an instance, which nobody else changes meanwhile."""
    # Else two who set them at once would each leave what the other wrote.
    wait_for_turn(connection)
    found = instances.find(connection, instance)
    mine = select(MEMBERS.c.security_group_id).where(
        MEMBERS.c.instance_uuid == found.uuid
    )
    before = frozenset(connection.scalars(mine))
    return Regrouped(found, before, before)


def _write(
    connection: Connection, was: Regrouped, wanted: frozenset[int]
) -> Regrouped:
    uuid = was.instance.uuid
    if was.before - wanted:
        connection.execute(
            delete_from(MEMBERS).where(
                MEMBERS.c.instance_uuid == uuid,
                MEMBERS.c.security_group_id.in_(sorted(was.before - wanted)),
            )
        )
    new = [
        {"security_group_id": group, "instance_uuid": uuid}
        for group in sorted(wanted - was.before)
    ]
    if new:
        connection.execute(insert(MEMBERS), new)
    return Regrouped(was.instance, was.before, wanted)
