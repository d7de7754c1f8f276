"""Security group rules: what can be put into effect, and as which value."""

from ipaddress import ip_network
from typing import Any

from flatnet.db.models import AnyRow
from flatnet.exceptions import InvalidSecurityGroupRule
from flatnet.rows import SecurityRule

_ICMP = {"icmp": 4, "icmpv6": 6}
_WITH_PORTS = ("tcp", "udp")
_NUMBERS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6"}
_PORT_LAST = 65535
_ICMP_LAST = 255


def from_row(row: AnyRow) -> SecurityRule:
    """Return a row of `security_group_rules` as a value."""
    return SecurityRule(
        id=row.id,
        protocol=row.protocol,
        from_port=row.from_port,
        to_port=row.to_port,
        cidr=row.cidr,
        group_id=row.group_id,
    )


def checked(
    *,
    protocol: str | None,
    from_port: int | None,
    to_port: int | None,
    cidr: str | None,
    has_source_group: bool,
) -> dict[str, Any]:
    """Return the columns of a rule, but for its groups.

    :raises InvalidSecurityGroupRule: it cannot be put into effect
    """
    if cidr is not None and has_source_group:
        raise InvalidSecurityGroupRule(
            "a rule has a cidr or a source group, not both"
        )
    protocol = _protocol(protocol)
    network = None if cidr is None else _network(cidr)
    if protocol in _WITH_PORTS:
        _check_ports(protocol, from_port, to_port)
    elif protocol in _ICMP:
        from_port = -1 if from_port is None else from_port
        to_port = -1 if to_port is None else to_port
        _check_icmp(protocol, from_port, to_port)
        if network is not None and network.version != _ICMP[protocol]:
            raise InvalidSecurityGroupRule(
                f"{protocol} never comes from {network}"
            )
    elif from_port is not None or to_port is not None:
        raise InvalidSecurityGroupRule(
            f"protocol {protocol or 'any'} has no ports"
        )
    return {
        "protocol": protocol,
        "from_port": from_port,
        "to_port": to_port,
        "cidr": None if network is None else str(network),
    }


def _protocol(value: str | None) -> str | None:
    """Return a protocol's name, its number as text, or none for all."""
    if value is None:
        return None
    text = str(value).lower()
    if text.isascii() and text.isdigit() and int(text) <= 255:
        number = str(int(text))
        return _NUMBERS.get(number, number)
    if text in _WITH_PORTS or text in _ICMP:
        return text
    raise InvalidSecurityGroupRule(
        f"protocol {value!r} is none of tcp, udp, icmp, icmpv6 and 0 to 255"
    )


def _network(cidr: str) -> Any:
    try:
        return ip_network(cidr)
    except ValueError as error:
        raise InvalidSecurityGroupRule(
            f"{cidr!r} is not a cidr: {error}"
        ) from error


def _check_ports(
    protocol: str, from_port: int | None, to_port: int | None
) -> None:
    if from_port is None and to_port is None:
        return
    if (
        from_port is None
        or to_port is None
        or not 1 <= from_port <= to_port <= _PORT_LAST
    ):
        raise InvalidSecurityGroupRule(
            f"{protocol} ports {from_port} to {to_port} are no range within "
            f"1 to {_PORT_LAST}"
        )


def _check_icmp(protocol: str, kind: int, code: int) -> None:
    for value, what in ((kind, "type"), (code, "code")):
        if not -1 <= value <= _ICMP_LAST:
            raise InvalidSecurityGroupRule(
                f"{protocol} {what} {value} is not within -1 to {_ICMP_LAST}"
            )
    if kind == -1 and code != -1:
        raise InvalidSecurityGroupRule(
            f"{protocol} code {code} of any type: give the type too"
        )
