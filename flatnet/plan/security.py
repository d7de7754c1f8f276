"""Security group rules as iptables matches, or why they cannot be.

Rows may be written by plain SQL and hold anything.  A row that does not say
exactly one thing is refused whole: read in any way that is wider than meant
it would open an instance, so there is no guessing.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from flatnet.exceptions import InvalidSecurityGroupRule
from flatnet.rows import SecurityRule

# As nova's callers write them, and the numbers that mean the same.
_PROTOCOLS = {
    "1": "icmp",
    "6": "tcp",
    "17": "udp",
    "58": "icmpv6",
    "ipv6-icmp": "icmpv6",
}
_CIDR = re.compile(r"[0-9a-fA-F:.]{2,45}(/[0-9]{1,3})?")
_PORTS = range(65536)
# iptables reads ICMP type 255 as "any".
_ICMP_TYPES = range(255)
_ICMP_CODES = range(256)


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
    protocol = _protocol(rule.protocol)
    if (rule.cidr is None) == (rule.group_id is None):
        raise InvalidSecurityGroupRule(
            "exactly one of cidr and source group is needed"
        )
    if rule.cidr is not None:
        cidr = _cidr(rule.cidr)
        if cidr.version == 6 and protocol == "icmp":
            protocol = "icmpv6"
        source = f"-s {cidr}" if cidr.prefixlen else ""
        families: dict[int, str] = {cidr.version: source}
    else:
        families = _group_sources(rule.group_id, members)
    service = _service(rule, protocol)
    if rule.cidr is not None and not families.keys() & _families(protocol):
        raise InvalidSecurityGroupRule(
            f"{protocol} does not go with cidr {rule.cidr!r}"
        )
    return tuple(
        Match(family, f"{source} {service}".strip(), rule.group_id)
        for family, source in sorted(families.items())
        if family in _families(protocol)
    )


def set_name(group_id: int, family: int) -> str:
    """Return the name of the ipset of a group's members."""
    return f"flatnet-g{family}-{group_id}"


def of_family(addresses: tuple[str, ...], family: int) -> tuple[str, ...]:
    """Return the valid addresses of one family, once each, sorted."""
    found = set()
    for text in addresses:
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


def _protocol(value: object) -> str | None:
    """Return tcp, udp, icmp, icmpv6, a number as text, or none for all."""
    if value is None:
        return None
    name = str(value).lower()
    name = _PROTOCOLS.get(name, name)
    if name in ("tcp", "udp", "icmp", "icmpv6"):
        return name
    # 0 would be every protocol to iptables.
    if re.fullmatch(r"[1-9][0-9]{0,2}", name) and int(name) <= 255:
        return name
    raise InvalidSecurityGroupRule(f"unknown protocol {value!r}")


def _families(protocol: str | None) -> frozenset[int]:
    if protocol == "icmp":
        return frozenset({4})
    if protocol == "icmpv6":
        return frozenset({6})
    return frozenset({4, 6})


def _cidr(value: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    if not isinstance(value, str) or not _CIDR.fullmatch(value):
        raise InvalidSecurityGroupRule(f"malformed cidr {value!r}")
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError as error:
        raise InvalidSecurityGroupRule(f"malformed cidr {value!r}") from error


def _service(rule: SecurityRule, protocol: str | None) -> str:
    """The protocol with its ports, or its ICMP type and code."""
    low, high = rule.from_port, rule.to_port
    if protocol in ("tcp", "udp"):
        if (low, high) == (None, None):
            return f"-p {protocol}"
        if not (_is_in(low, _PORTS) and _is_in(high, _PORTS)):
            raise InvalidSecurityGroupRule(
                f"ports {low!r} to {high!r} are no ports"
            )
        if int(low or 0) > int(high or 0):
            raise InvalidSecurityGroupRule(
                f"from_port {low} is above to_port {high}"
            )
        ports = f"{low}" if low == high else f"{low}:{high}"
        return f"-p {protocol} -m {protocol} --dport {ports}"
    if protocol in ("icmp", "icmpv6"):
        return _icmp(protocol, low, high)
    if (low, high) not in ((None, None), (-1, -1)):
        raise InvalidSecurityGroupRule(
            f"protocol {protocol or 'any'} has no ports"
        )
    return f"-p {protocol}" if protocol else ""


def _icmp(protocol: str, kind: int | None, code: int | None) -> str:
    if kind in (None, -1):
        if code not in (None, -1):
            raise InvalidSecurityGroupRule(
                f"ICMP code {code!r} without a type"
            )
        return f"-p {protocol}"
    if not _is_in(kind, _ICMP_TYPES):
        raise InvalidSecurityGroupRule(f"{kind!r} is no ICMP type")
    module = {"icmp": "icmp", "icmpv6": "icmp6"}[protocol]
    text = f"-p {protocol} -m {module} --{protocol}-type {kind}"
    if code in (None, -1):
        return text
    if not _is_in(code, _ICMP_CODES):
        raise InvalidSecurityGroupRule(f"{code!r} is no ICMP code")
    return f"{text}/{code}"


def _is_in(value: object, numbers: range) -> bool:
    """Whether it is an integer of `numbers`; True and False are none."""
    return type(value) is int and value in numbers
