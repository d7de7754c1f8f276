"""Instances: rows of the compute service, which flatnet reads.

`create` is for those who have no compute service yet.
"""

import uuid as uuids
from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, insert, or_, select

from flatnet.db import checks, engine, models
from flatnet.db.models import AnyRow
from flatnet.exceptions import Conflict, InstanceNotFound, InvalidInput
from flatnet.state.rows import Instance

INSTANCES = models.instances
VIFS = models.virtual_interfaces
ALIVE = INSTANCES.c.deleted == 0
_COLUMNS = (
    INSTANCES.c.id,
    INSTANCES.c.uuid,
    INSTANCES.c.hostname,
    INSTANCES.c.host,
    INSTANCES.c.project_id,
)
_CASES = (str.lower, str.upper)


@engine.writes
def create(
    connection: Connection,
    *,
    hostname: str,
    host: str,
    project_id: str,
    uuid: str | None = None,
) -> Instance:
    """Write a row as a compute service would.

    :raises InvalidInput: a value is empty or does not fit
    :raises Conflict: the uuid is another instance's
    """
    values = {
        "uuid": checks.uuid(uuid) if uuid else str(uuids.uuid4()),
        "hostname": checks.name(hostname, "hostname"),
        "host": checks.name(host, "host"),
        "project_id": checks.name(project_id, "project"),
    }
    mine = select(*_COLUMNS).where(INSTANCES.c.uuid == values["uuid"])
    if connection.execute(mine).first():
        raise Conflict(f"instance {values['uuid']} exists already")
    connection.execute(insert(INSTANCES).values(values))
    return _instance(connection.execute(mine).one())


@engine.reads
def list_all(
    connection: Connection, host: str | None = None
) -> tuple[Instance, ...]:
    """Return the living instances, of one host if it is given, by id."""
    wanted = select(*_COLUMNS).where(ALIVE).order_by(INSTANCES.c.id)
    if host is not None:
        wanted = wanted.where(INSTANCES.c.host == host)
    return tuple(_instance(row) for row in connection.execute(wanted))


@engine.reads
def get(connection: Connection, reference: str | int) -> Instance:
    """Return a living instance by its uuid, integer id or hostname.

    :raises InstanceNotFound: there is none
    :raises Conflict: several have that hostname
    """
    return find(connection, reference)


def find(connection: Connection, reference: str | int) -> Instance:
    """Return the same as `get`, within a transaction."""
    text = str(reference)
    condition = or_(
        INSTANCES.c.uuid.in_(_spellings([text])), INSTANCES.c.hostname == text
    )
    if (number := checks.row_id(text)) is not None:
        condition = or_(condition, INSTANCES.c.id == number)
    found = [
        _instance(row)
        for row in connection.execute(
            select(*_COLUMNS).where(ALIVE, condition).order_by(INSTANCES.c.id)
        )
    ]
    for exact in (
        [each for each in found if each.uuid.lower() == text.lower()],
        [each for each in found if str(each.id) == text],
        found,
    ):
        if len(exact) == 1:
            return exact[0]
    if not found:
        raise InstanceNotFound(
            f"no living instance has the uuid, id or hostname {text!r}"
        )
    raise Conflict(
        f"{len(found)} instances are named {text!r}, use a uuid: "
        f"{', '.join(each.uuid for each in found)}"
    )


@engine.reads
def meant(connection: Connection, reference: str) -> Instance:
    """Return a living instance by its uuid or integer id.

    For callers of RPC: a hostname is a tenant's choice, and may be the id
    that somebody else's instance had.

    :raises InstanceNotFound: there is none
    """
    (found,) = _meant(connection, [reference])
    if isinstance(found, InstanceNotFound):
        raise found
    return found


@engine.reads
def all_meant(
    connection: Connection, references: Sequence[str]
) -> tuple[Instance | InstanceNotFound, ...]:
    """Return the same of many, or the error of each."""
    return _meant(connection, references)


@engine.reads
def uuid_of(connection: Connection, reference: str) -> str:
    """Return the uuid of an instance, dead or alive, or what was given.

    What is neither the uuid nor the integer id of any instance may be the
    uuid of one whose row is gone.

    :raises InstanceNotFound: it is none, such as a hostname
    """
    (found,) = uuids_meant(connection, [reference])
    if isinstance(found, InstanceNotFound):
        raise found
    return found


def _meant(
    connection: Connection, references: Sequence[str]
) -> tuple[Instance | InstanceNotFound, ...]:
    rows = connection.execute(
        select(*_COLUMNS).where(ALIVE, _named(references))
    ).all()
    by_name = _by_name(rows)
    return tuple(
        _instance(by_name[each.lower()])
        if each.lower() in by_name
        else InstanceNotFound(
            f"no living instance has the uuid or id {each!r}"
        )
        for each in references
    )


def uuids_meant(
    connection: Connection, references: Sequence[str]
) -> tuple[str | InstanceNotFound, ...]:
    """Return the same as `uuid_of` of many, or the error of each."""
    rows = connection.execute(
        select(INSTANCES.c.id, INSTANCES.c.uuid).where(_named(references))
    ).all()
    known = {name: str(row.uuid) for name, row in _by_name(rows).items()}
    left = [each for each in references if each.lower() not in known]
    if left:
        # As it was written when the instance was there, in our rows.
        uuids = VIFS.c.instance_uuid
        ours = select(uuids).where(uuids.in_(_spellings(left))).distinct()
        known |= {uuid.lower(): uuid for uuid in connection.scalars(ours)}
    return tuple(
        known.get(each.lower()) or _unknown_uuid(each) for each in references
    )


def _unknown_uuid(reference: str) -> str | InstanceNotFound:
    """A uuid, or id, of an instance whose row is gone, or an error."""
    if checks.row_id(reference) is not None:
        return reference.lower()
    try:
        return checks.uuid(reference.lower())
    except InvalidInput:
        return InstanceNotFound(
            f"{reference!r} is neither the uuid nor the id of an instance"
        )


def _named(references: Sequence[str]) -> ColumnElement[bool]:
    """That an instance has one of these uuids or integer ids."""
    ids = [each for each in map(checks.row_id, references) if each is not None]
    by_uuid = INSTANCES.c.uuid.in_(_spellings(references))
    return or_(by_uuid, INSTANCES.c.id.in_(ids)) if ids else by_uuid


def _by_name(rows: Sequence[AnyRow]) -> dict[str, AnyRow]:
    """Rows by what callers call them; a uuid means more than an id."""
    by_id = {str(row.id): row for row in rows}
    return {**by_id, **{row.uuid.lower(): row for row in rows}}


def _spellings(uuids: Iterable[str]) -> list[str]:
    """Uuids as others may have written them: in small or capital letters."""
    return sorted({as_is(uuid) for uuid in uuids for as_is in _CASES})


def check_living(connection: Connection, instance_uuid: str) -> None:
    """Check that an instance lives.

    :raises InstanceNotFound: no living instance has that uuid
    """
    mine = select(INSTANCES.c.id).where(
        ALIVE, INSTANCES.c.uuid == instance_uuid
    )
    if connection.execute(mine).first() is None:
        raise InstanceNotFound(f"no living instance has uuid {instance_uuid}")


def _instance(row: AnyRow) -> Instance:
    return Instance(
        id=row.id,
        uuid=row.uuid,
        hostname=row.hostname,
        host=row.host,
        project_id=row.project_id,
    )
