"""Which of nova's security groups, rules and members are kept."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from flatnet.db import checks, security_group_rules
from flatnet.db.models import AnyRow
from flatnet.db.nova import kept_interfaces
from flatnet.db.nova.import_draft import Draft, GroupKey
from flatnet.db.nova.source import Nova
from flatnet.exceptions import Conflict, FlatnetError, InvalidInput

GROUPS = "security_groups"
RULES = "security_group_rules"
MEMBERS = "security_group_instance_association"
# By which a rule is the same as another of its group.
_COMPARED = ("protocol", "from_port", "to_port", "cidr")


def judge_groups(
    nova: Nova, present: Sequence[AnyRow], draft: Draft
) -> dict[int, GroupKey]:
    """Return the groups that are kept, by nova's ids.

    One that flatnet has by its project and name is that one.
    """
    found: dict[int, GroupKey] = {}
    known = {(row.project_id, row.name) for row in present}
    for row in nova[GROUPS]:
        try:
            values = {
                "name": checks.name(row.name, "name"),
                "description": row.description,
                "project_id": row.project_id or None,
            }
        except FlatnetError as error:
            draft.report.refuse(GROUPS, f"security group {row.id}", error)
            continue
        key = values["project_id"], values["name"]
        draft.report.keep(GROUPS, is_new=key not in known)
        if key not in known:
            draft.groups.append(values)
            known.add(key)
        found[row.id] = key
    return found


def judge_rules(
    nova: Nova,
    groups: Mapping[int, GroupKey],
    present: Sequence[AnyRow],
    keys: Mapping[int, GroupKey],
    draft: Draft,
) -> None:
    """Write the rules that let in what they let in at nova.

    :param present: flatnet's rules, and `keys` its groups by their ids
    """
    known = {
        (
            *(keys.get(row.parent_group_id), keys.get(row.group_id)),
            *(getattr(row, each) for each in _COMPARED),
        )
        for row in present
    }
    for row in nova[RULES]:
        parent = groups.get(row.parent_group_id)
        if parent is None:
            # It went with its group.
            continue
        try:
            source = _source(row, groups)
            values = _values(row)
        except FlatnetError as error:
            name = f"rule {row.id} of security group {parent[1]}"
            draft.report.refuse(RULES, f"{name} of {parent[0]}", error)
            continue
        key = parent, source, *(values[each] for each in _COMPARED)
        draft.report.keep(RULES, is_new=key not in known)
        if key not in known:
            known.add(key)
            draft.rules.append((parent, source, values))


def judge_members(
    nova: Nova,
    groups: Mapping[int, GroupKey],
    living: Collection[str],
    present: Collection[tuple[GroupKey, str]],
    draft: Draft,
) -> None:
    """Write who is in which group.

    :param present: who is in which of flatnet's
    """
    known = set(present)
    for row in nova[MEMBERS]:
        owner, group = nova.owner(row), groups.get(row.security_group_id)
        try:
            kept_interfaces.check_living(owner, living)
            if group is None:
                raise Conflict("the group is not kept, or not there")
        except FlatnetError as error:
            which = group[1] if group else row.security_group_id
            name = f"instance {owner} in security group {which}"
            draft.report.refuse(MEMBERS, name, error)
            continue
        member = group, str(owner)
        draft.report.keep(MEMBERS, is_new=member not in known)
        if member not in known:
            known.add(member)
            draft.memberships.append(member)


def _source(row: AnyRow, groups: Mapping[int, GroupKey]) -> GroupKey | None:
    if row.group_id is None:
        if row.cidr is None:
            raise InvalidInput("it names neither a cidr nor a source group")
        return None
    source = groups.get(row.group_id)
    if source is None:
        raise Conflict("its source group is not kept, or not there")
    return source


def _values(row: AnyRow) -> dict[str, Any]:
    """The columns of a rule, but for whose it is.

    :raises InvalidSecurityGroupRule: it cannot be put into effect
    """
    protocol = row.protocol.lower() if row.protocol else None
    first, last = row.from_port, row.to_port
    if protocol is None:
        # nova asks for no port of what is no protocol.
        first = last = None
    values = security_group_rules.columns(
        protocol=protocol,
        from_port=first,
        to_port=last,
        cidr=None if row.group_id is not None else str(row.cidr),
        group_id=row.group_id,
        family=None,
    )
    return {k: v for k, v in values.items() if k != "group_id"}
