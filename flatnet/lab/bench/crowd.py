"""Many members of a group, who run on hosts that are not in the lab."""

import contextlib
from collections.abc import Iterator

from sqlalchemy import Connection, delete, select, update

from flatnet.db import engine, models
from flatnet.db.engine import Database
from flatnet.lab.bench import rows
from flatnet.lab.bench.rows import NewInstance

_ELSEWHERE = "elsewhere"


@contextlib.contextmanager
def crowd(
    database: Database, group: int, count: int, others: int
) -> Iterator[list[NewInstance]]:
    """Have so many members; yield `others` who are in no group yet.

    All have an address in the one network.  They and their addresses are
    gone at the end.
    """
    members = [_someone((group,)) for _ in range(count)]
    outside = [_someone(()) for _ in range(others)]
    first = _next_position(database)
    rows.add_running(database, [*members, *outside], plug="tap")
    rows.renew_statistics(database)
    try:
        yield outside
    finally:
        _remove(database, first)


def _someone(groups: tuple[int, ...]) -> NewInstance:
    uuid = rows.new_uuid()
    return NewInstance(uuid, f"vm-{uuid}", _ELSEWHERE, groups)


@engine.reads
def _next_position(connection: Connection) -> int:
    return int(
        connection.scalars(select(models.networks.c.next_position)).one()
    )


@engine.writes
def _remove(connection: Connection, first: int) -> None:
    """Delete all who run elsewhere.

    :param first: the position that the next address is to have again
    """
    instances = models.instances
    here = select(instances.c.uuid).where(instances.c.host == _ELSEWHERE)
    members = models.security_group_instance_association
    for table in (
        models.port_bindings,
        models.fixed_ips,
        models.virtual_interfaces,
        members,
    ):
        connection.execute(
            delete(table).where(table.c.instance_uuid.in_(here))
        )
    connection.execute(delete(instances).where(instances.c.host == _ELSEWHERE))
    connection.execute(update(models.networks).values(next_position=first))
