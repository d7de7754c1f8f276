"""Rows of `security_group_rules`."""

from typing import Any

from flatnet.db import models
from flatnet.db.models import AnyRow
from flatnet.exceptions import InvalidSecurityGroupRule
from flatnet.state import grouprules
from flatnet.state.rows import SecurityRule

_FIELDS = tuple(SecurityRule.__dataclass_fields__)
COLUMNS = tuple(models.security_group_rules.c[field] for field in _FIELDS)


def from_row(row: AnyRow) -> SecurityRule:
    """Return a row of `security_group_rules` as a value."""
    return SecurityRule(**{field: getattr(row, field) for field in _FIELDS})


def columns(
    *,
    protocol: str | None,
    from_port: int | None,
    to_port: int | None,
    cidr: str | None,
    group_id: int | None,
    family: int | None,
) -> dict[str, Any]:
    """Return the columns of a rule, but for whose it is.

    With neither cidr nor group it is written from where it lets in, which
    is everywhere: a row that does not say so lets nothing in.

    :param family: 4 or 6, what the cidr is of; none for any
    :raises InvalidSecurityGroupRule: it cannot be put into effect
    """
    if family and group_id is not None:
        raise InvalidSecurityGroupRule(
            "a rule about a source group is for its IPv4 and IPv6 addresses "
            "alike: leave the ethertype out"
        )
    if cidr is None and group_id is None:
        cidr = grouprules.anywhere(protocol, family)
    found = grouprules.allowed(
        SecurityRule(0, protocol, from_port, to_port, cidr, group_id)
    )
    if family and family not in found.families:
        raise InvalidSecurityGroupRule(f"cidr {cidr!r} is not IPv{family}")
    # As nova has it: -1 is any type or code, and no port is no port.
    unset = -1 if found.is_icmp else None
    return {
        "protocol": found.protocol,
        "from_port": unset if found.first is None else found.first,
        "to_port": unset if found.last is None else found.last,
        "cidr": None if found.cidr is None else str(found.cidr),
        "group_id": group_id,
    }
