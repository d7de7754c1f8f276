"""What security groups let in, or why a rule of theirs lets in nothing.

What a row means is said in `state.grouprules`; in which families a source
group has members comes from outside.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from flatnet.exceptions import InvalidSecurityGroupRule
from flatnet.state.filtering import Group, Opening
from flatnet.state.grouprules import allowed
from flatnet.state.rows import SecurityGroup, SecurityRule

Families = Mapping[int | None, frozenset[int]]


@dataclass(frozen=True)
class PlannedGroup:
    """A group, and the ids of the rules that are left out, with reasons."""

    part: Group
    reasons: tuple[tuple[int, str], ...] = ()


def planned_group(group: SecurityGroup, families: Families) -> PlannedGroup:
    """Return what a group lets in, each thing once.

    :param families: maps the ids of groups that rules name to the families
        that their members have addresses of
    """
    found: dict[Opening, None] = {}
    reasons = []
    for rule in sorted(group.rules, key=lambda rule: rule.id):
        try:
            found.update(dict.fromkeys(openings(rule, families)))
        except InvalidSecurityGroupRule as error:
            reasons.append((rule.id, str(error)))
    return PlannedGroup(Group(group.id, tuple(found)), tuple(reasons))


def openings(rule: SecurityRule, families: Families) -> tuple[Opening, ...]:
    """Return what a rule lets in, at most one opening per family.

    ICMP numbers are those of ICMPv6 where the cidr is an IPv6 one.  A
    source group without an IPv6 member has no opening there.

    :raises InvalidSecurityGroupRule: the reason, as a phrase
    """
    found = allowed(rule)
    source = None
    if found.cidr is not None:
        source = str(found.cidr) if found.cidr.prefixlen else None
        possible: frozenset[int] = frozenset((found.cidr.version,))
    else:
        possible = families.get(found.group_id, frozenset())
    return tuple(
        Opening(
            family,
            source=source,
            group=found.group_id,
            protocol=found.number,
            first=found.first,
            last=found.last,
        )
        for family in sorted(possible & found.families)
    )
