"""What security groups let in, or why a rule of theirs lets in nothing.

What a row means is said in `flatnet.grouprules`; whether its source group
exists only a snapshot knows.
"""

from collections.abc import Iterator, Mapping

from flatnet.exceptions import InvalidSecurityGroupRule
from flatnet.filtering import Group, Opening
from flatnet.grouprules import allowed
from flatnet.plan.addresses import of_family
from flatnet.rows import SecurityGroup, SecurityRule, Snapshot

Reasons = dict[tuple[int, int], str]


def groups(snapshot: Snapshot) -> tuple[tuple[Group, ...], Reasons]:
    """Return the groups by id, and by (group id, rule id) what is left out."""
    members = dict(snapshot.group_members)
    reasons: Reasons = {}
    found = [
        Group(each.id, tuple(_openings(each, members, reasons)))
        for each in sorted(snapshot.security_groups, key=lambda each: each.id)
    ]
    return tuple(found), reasons


def _openings(
    group: SecurityGroup,
    members: Mapping[int, tuple[str, ...]],
    reasons: Reasons,
) -> Iterator[Opening]:
    seen = set()
    for rule in sorted(group.rules, key=lambda rule: rule.id):
        try:
            mine = openings(rule, members)
        except InvalidSecurityGroupRule as error:
            reasons[group.id, rule.id] = str(error)
            continue
        for opening in mine:
            if opening not in seen:
                seen.add(opening)
                yield opening


def openings(
    rule: SecurityRule, members: Mapping[int, tuple[str, ...]]
) -> tuple[Opening, ...]:
    """Return what a rule lets in, at most one opening per family.

    `members` maps the ids of groups that exist to their members' addresses.
    ICMP numbers are those of ICMPv6 where the cidr is an IPv6 one.  A
    source group without an IPv6 member has no opening there.

    :raises InvalidSecurityGroupRule: the reason, as a phrase
    """
    found = allowed(rule)
    source = None
    if found.cidr is not None:
        source = str(found.cidr) if found.cidr.prefixlen else None
        families: set[int] = {found.cidr.version}
    else:
        families = _group_families(found.group_id, members)
    return tuple(
        Opening(
            family,
            source=source,
            group=found.group_id,
            protocol=found.number,
            first=found.first,
            last=found.last,
        )
        for family in sorted(families & found.families)
    )


def _group_families(
    group_id: int | None, members: Mapping[int, tuple[str, ...]]
) -> set[int]:
    """Where a source group has members; IPv6 is rare, IPv4 is as good as."""
    if group_id is None or group_id not in members:
        raise InvalidSecurityGroupRule(
            f"source group {group_id!r} does not exist"
        )
    return {4, 6} if of_family(members[group_id], 6) else {4}
