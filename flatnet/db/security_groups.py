"""Security groups and their rules."""

from sqlalchemy import Connection, insert, or_, select
from sqlalchemy import delete as delete_from

from flatnet.db import checks, engine, models, security_group_rules
from flatnet.db.models import AnyRow
from flatnet.exceptions import (
    Conflict,
    NotFound,
    SecurityGroupExists,
    SecurityGroupInUse,
    SecurityGroupNotFound,
)
from flatnet.state.rows import SecurityGroup, SecurityRule

GROUPS = models.security_groups
RULES = models.security_group_rules
MEMBERS = models.security_group_instance_association
_ID_LAST = 2**31 - 1


@engine.writes
def create(
    connection: Connection,
    *,
    name: str,
    project_id: str,
    description: str | None = None,
) -> SecurityGroup:
    """Create a group without rules or members.

    :raises SecurityGroupExists: the project has one of that name
    """
    mine = select(GROUPS).where(
        GROUPS.c.project_id == checks.name(project_id, "project"),
        GROUPS.c.name == checks.name(name, "name"),
    )
    if connection.execute(mine).first():
        raise SecurityGroupExists(
            f"project {project_id} has a security group {name} already"
        )
    connection.execute(
        insert(GROUPS).values(
            name=name,
            project_id=project_id,
            description=checks.optional_name(description, "description"),
        )
    )
    return _with_rules(connection, [connection.execute(mine).one()])[0]


@engine.reads
def list_all(
    connection: Connection, project_id: str | None = None
) -> tuple[SecurityGroup, ...]:
    """Return all groups, or those of a project, by id."""
    wanted = select(GROUPS).order_by(GROUPS.c.id)
    if project_id is not None:
        wanted = wanted.where(GROUPS.c.project_id == project_id)
    return _with_rules(connection, list(connection.execute(wanted)))


@engine.reads
def get(connection: Connection, reference: str | int) -> SecurityGroup:
    """Return a group by its id or name.

    :raises SecurityGroupNotFound: there is none
    :raises Conflict: several projects have one of that name
    """
    return _with_rules(connection, [find(connection, reference)])[0]


@engine.writes
def delete(connection: Connection, reference: str | int) -> None:
    """Delete a group with its rules.

    :raises SecurityGroupNotFound: there is none
    :raises SecurityGroupInUse: an instance is in it, or another group's
        rule names it
    """
    group = find(connection, reference)
    members = connection.scalars(
        select(MEMBERS.c.instance_uuid)
        .where(MEMBERS.c.security_group_id == group.id)
        .order_by(MEMBERS.c.instance_uuid)
    ).all()
    if members:
        raise SecurityGroupInUse(
            f"security group {group.name} has {len(members)} instances, "
            f"{members[0]} among them: remove them first"
        )
    naming = connection.scalar(
        select(RULES.c.id)
        .where(RULES.c.group_id == group.id)
        .where(RULES.c.parent_group_id != group.id)
        .order_by(RULES.c.id)
        .limit(1)
    )
    if naming is not None:
        raise SecurityGroupInUse(
            f"security group {group.name} is named by rule {naming}: delete "
            "the rule first"
        )
    connection.execute(
        delete_from(RULES).where(RULES.c.parent_group_id == group.id)
    )
    connection.execute(delete_from(GROUPS).where(GROUPS.c.id == group.id))


@engine.writes
def create_rule(
    connection: Connection,
    *,
    group: str | int,
    protocol: str | None = None,
    from_port: int | None = None,
    to_port: int | None = None,
    cidr: str | None = None,
    source_group: str | int | None = None,
    family: int | None = None,
) -> SecurityRule:
    """Let traffic to a group's members through.

    :param protocol: a name as in /etc/protocols, a number or none for all
    :param from_port: the first port, or the ICMP type (-1: any)
    :param to_port: the last port, or the ICMP code (-1: any)
    :param cidr: where it comes from; or `source_group`; or anywhere, and
        the row says so: 0.0.0.0/0, or ::/0 where `family` (4 or 6) is 6
        or the protocol is one of IPv6
    :raises InvalidSecurityGroupRule: it cannot be put into effect
    :raises SecurityGroupNotFound: one of the groups does not exist
    """
    mine = find(connection, group).id
    source = None
    if source_group is not None:
        source = find(connection, source_group).id
    values = security_group_rules.columns(
        protocol=protocol,
        from_port=from_port,
        to_port=to_port,
        cidr=cidr,
        group_id=source,
        family=family,
    )
    values["parent_group_id"] = mine
    done = connection.execute(insert(RULES).values(values))
    (rule_id,) = done.inserted_primary_key or (None,)
    row = connection.execute(select(RULES).where(RULES.c.id == rule_id)).one()
    return security_group_rules.from_row(row)


@engine.writes
def delete_rule(connection: Connection, rule_id: int) -> None:
    """Delete a rule.

    :raises NotFound: there is none of that id
    """
    deleted = connection.execute(
        delete_from(RULES).where(RULES.c.id == rule_id)
    )
    if deleted.rowcount == 0:
        raise NotFound(f"no security group rule has the id {rule_id}")


def find(connection: Connection, reference: str | int) -> AnyRow:
    """Return the row of a group; errors as for `get`."""
    text = str(reference)
    condition = GROUPS.c.name == text
    if text.isascii() and text.isdigit() and int(text) <= _ID_LAST:
        condition = or_(condition, GROUPS.c.id == int(text))
    found = connection.execute(
        select(GROUPS).where(condition).order_by(GROUPS.c.id)
    ).all()
    for row in found:
        if str(row.id) == text:
            return row
    if not found:
        raise SecurityGroupNotFound(
            f"no security group has the id or name {text!r}"
        )
    if len(found) > 1:
        raise Conflict(
            f"{len(found)} security groups are named {text!r}, use an id: "
            f"{', '.join(str(row.id) for row in found)}"
        )
    return found[0]


def _with_rules(
    connection: Connection, groups: list[AnyRow]
) -> tuple[SecurityGroup, ...]:
    wanted = [group.id for group in groups]
    rows = connection.execute(
        select(RULES)
        .where(RULES.c.parent_group_id.in_(wanted))
        .order_by(RULES.c.id)
    ).all()
    return tuple(
        SecurityGroup(
            id=group.id,
            name=group.name,
            rules=tuple(
                security_group_rules.from_row(row)
                for row in rows
                if row.parent_group_id == group.id
            ),
        )
        for group in groups
    )
