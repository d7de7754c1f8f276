"""Security group rules as iptables matches, or why they cannot be.

What a row means is said in `flatnet.grouprules`; here it becomes text.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from flatnet.exceptions import InvalidSecurityGroupRule
from flatnet.grouprules import Allowed, allowed
from flatnet.rows import SecurityRule

# What iptables has a match of its own for, by the name that it takes.
_MODULES = ("tcp", "udp")
_ICMP_MODULES = {"icmp": "icmp", "icmpv6": "icmp6"}


@dataclass(frozen=True)
class Match:
    """One iptables match of a rule.

    `text` is empty or ends before `-j`; `group_id` is the source group
    whose address set of this family it names, or none.
    """

    family: int
    text: str
    group_id: int | None = None


def matches(
    rule: SecurityRule, members: Mapping[int, tuple[str, ...]]
) -> tuple[Match, ...]:
    """Return what a rule lets in, at most one match per family.

    `members` maps the ids of groups that exist to their members' addresses.
    ICMP numbers are those of ICMPv6 where the cidr is an IPv6 one.  A
    source group without an IPv6 member has no match there.

    :raises InvalidSecurityGroupRule: the reason, as a phrase
    """
    found = allowed(rule)
    if found.cidr is not None:
        cidr = found.cidr
        source = f"-s {cidr}" if cidr.prefixlen else ""
        families: dict[int, str] = {cidr.version: source}
    else:
        families = _group_sources(found.group_id, members)
    service = _service(found)
    return tuple(
        Match(family, f"{source} {service}".strip(), found.group_id)
        for family, source in sorted(families.items())
        if family in found.families
    )


def set_name(group_id: int, family: int) -> str:
    """Return the name of the ipset of a group's members."""
    return f"flatnet-g{family}-{group_id}"


def of_family(addresses: tuple[str, ...], family: int) -> tuple[str, ...]:
    """Return the valid addresses of one family, once each, sorted.

    One with a zone (`fe80::1%eth0`) means something on one machine alone.
    """
    found = set()
    for text in addresses:
        if "%" in text:
            continue
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if address.version == family:
            found.add(address)
    return tuple(str(address) for address in sorted(found, key=int))


def _group_sources(
    group_id: int | None, members: Mapping[int, tuple[str, ...]]
) -> dict[int, str]:
    if group_id is None or group_id not in members:
        raise InvalidSecurityGroupRule(
            f"source group {group_id!r} does not exist"
        )
    return {
        family: f"-m set --match-set {set_name(group_id, family)} src"
        for family in (4, 6)
        # IPv6 is rare: no rule and no set before somebody has some.
        if family == 4 or of_family(members[group_id], family)
    }


def _service(found: Allowed) -> str:
    """The protocol with its ports, or its ICMP type and code."""
    name = found.protocol
    if name is None:
        return ""
    if name not in (*_MODULES, *_ICMP_MODULES):
        # A number, for a host's iptables may not know the name.
        name = str(found.number)
    if found.first is None:
        return f"-p {name}"
    if found.is_icmp:
        kind = f"-p {name} -m {_ICMP_MODULES[name]} --{name}-type"
        code = "" if found.last is None else f"/{found.last}"
        return f"{kind} {found.first}{code}"
    ports = f"{found.first}"
    if found.last != found.first:
        ports += f":{found.last}"
    if name in _MODULES:
        return f"-p {name} -m {name} --dport {ports}"
    # One module for all others, which every kernel with iptables has.
    return f"-p {name} -m multiport --dports {ports}"
