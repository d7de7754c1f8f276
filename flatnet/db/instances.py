"""Instances: rows of the compute service, which flatnet reads.

`create` is for those who have no compute service yet.
"""

import uuid as uuids

from sqlalchemy import Connection, insert, or_, select

from flatnet.db import checks, engine, models
from flatnet.db.models import AnyRow
from flatnet.exceptions import Conflict, InstanceNotFound, InvalidInput
from flatnet.rows import Instance

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
_ID_LAST = 2**31 - 1


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
        INSTANCES.c.uuid.in_(_spellings(text)), INSTANCES.c.hostname == text
    )
    if text.isascii() and text.isdigit() and int(text) <= _ID_LAST:
        condition = or_(condition, INSTANCES.c.id == int(text))
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
    found = find(connection, reference)
    if reference.lower() not in (found.uuid.lower(), str(found.id)):
        raise InstanceNotFound(
            f"no living instance has the uuid or id {reference!r}"
        )
    return found


@engine.reads
def uuid_of(connection: Connection, reference: str) -> str:
    """Return the uuid of an instance, dead or alive, or what was given.

    What is neither the uuid nor the integer id of any instance may be the
    uuid of one whose row is gone.

    :raises InstanceNotFound: it is none, such as a hostname
    """
    text = reference.lower()
    if text.isascii() and text.isdigit() and int(text) <= _ID_LAST:
        found = connection.scalar(
            select(INSTANCES.c.uuid).where(INSTANCES.c.id == int(text))
        )
        return str(found) if found else text
    # As it was written when the instance was there, in its rows of ours too.
    for column in (INSTANCES.c.uuid, VIFS.c.instance_uuid):
        found = connection.scalar(
            select(column).where(column.in_(_spellings(reference))).limit(1)
        )
        if found:
            return str(found)
    try:
        return checks.uuid(text)
    except InvalidInput as error:
        raise InstanceNotFound(
            f"{reference!r} is neither the uuid nor the id of an instance"
        ) from error


def _spellings(uuid: str) -> tuple[str, str]:
    """A uuid as others may have written it: in small or in capital letters."""
    return uuid.lower(), uuid.upper()


def check_living(
    connection: Connection, instance_uuid: str, host: str | None = None
) -> None:
    """Check that an instance lives, and that its row means this host.

    :raises InstanceNotFound: no living instance has that uuid
    :raises Conflict: its row names another host
    """
    found = connection.execute(
        select(INSTANCES.c.host).where(
            ALIVE, INSTANCES.c.uuid == instance_uuid
        )
    ).first()
    if found is None:
        raise InstanceNotFound(f"no living instance has uuid {instance_uuid}")
    if host and found.host not in (None, host):
        raise Conflict(
            f"instance {instance_uuid} is on host {found.host} by its row, "
            f"not on {host}: ask there, or write instances.host"
        )


def _instance(row: AnyRow) -> Instance:
    return Instance(
        id=row.id,
        uuid=row.uuid,
        hostname=row.hostname,
        host=row.host,
        project_id=row.project_id,
    )
