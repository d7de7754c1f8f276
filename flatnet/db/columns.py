"""The columns of a new network, made of the arguments of its creation."""

from ipaddress import IPv4Network, ip_network
from typing import Any

from flatnet.db import checks, ranges
from flatnet.exceptions import (
    FixedIpInvalid,
    InvalidBridgeName,
    InvalidCidr,
    InvalidInput,
)


def devices(
    bridge: str, bridge_interface: str | None, mtu: int | None
) -> dict[str, Any]:
    """Return the names of the bridge and its uplink, and their mtu."""
    if bridge == bridge_interface:
        raise InvalidBridgeName(
            f"{bridge!r} cannot be the uplink of itself: name another device"
        )
    return {
        "bridge": checks.device_name(bridge),
        "bridge_interface": (
            checks.device_name(bridge_interface) if bridge_interface else None
        ),
        "mtu": checks.mtu(mtu),
    }


def addresses_v6(
    cidr_v6: str | None, *, gateway: str | None
) -> dict[str, Any]:
    """Return the IPv6 range, and the address of a router of its own."""
    if not cidr_v6 and gateway:
        raise FixedIpInvalid(
            f"gateway_v6 {gateway} is of no range: the network has no cidr_v6"
        )
    return {
        "cidr_v6": str(checks.cidr_v6(cidr_v6)) if cidr_v6 else None,
        "gateway_v6": (
            str(checks.gateway_v6(gateway, checks.cidr_v6(cidr_v6 or "")))
            if gateway
            else None
        ),
    }


def addresses(cidr: str, *, gateway: str | None) -> dict[str, Any]:
    """Return the range, what follows from it, and the gateway."""
    network = checks.cidr(cidr)
    return {
        "cidr": str(network),
        "broadcast": str(network.broadcast_address),
        "netmask": str(network.netmask),
        "gateway": (
            str(checks.address_in(gateway, network, "gateway"))
            if gateway
            else None
        ),
    }


def pool(
    cidr: str,
    *,
    fixed_cidr: str | None,
    allowed_start: str | None,
    allowed_end: str | None,
    gateway: str | None,
    hosts_take_one: bool,
) -> dict[str, Any]:
    """Return what of the network is given out, as offsets in it.

    :raises InvalidCidr: there is no room for an instance, and for a host
        where hosts take an address too
    :raises FixedIpInvalid: an address is malformed or outside the network
    """
    network = checks.cidr(cidr)
    first, last = _bounds(network, fixed_cidr, allowed_start, allowed_end)
    aside = ranges.position(cidr, gateway) if gateway else 0
    size = max(last - first + 1 - (first <= aside <= last), 0)
    needed = 2 if hosts_take_one else 1
    if size < needed:
        raise InvalidCidr(
            f"{network} has {size} addresses to give out, at least {needed} "
            "are needed: one for an instance"
            + (", one for its host's bridge" if hosts_take_one else "")
        )
    start = first + 1 if first == aside else first
    return {
        "pool_first": first,
        "pool_last": last,
        "next_position": first,
        "dhcp_start": ranges.address_at(cidr, start),
    }


def overlap(mine: str, theirs: str) -> bool:
    """Whether two ranges share an address; a malformed row has none."""
    try:
        return ip_network(mine).overlaps(ip_network(theirs, strict=False))
    except ValueError:
        return False


def server(
    cidr: str,
    *,
    multi_host: bool,
    host: str | None,
    dhcp_server: str | None,
    first: str,
) -> dict[str, Any]:
    """Return who serves all guests of a network, and by which address.

    :param multi_host: that each host serves its own, or none anybody
    :param first: the first address that is given out
    :raises InvalidInput: nobody serves all guests
    """
    if multi_host:
        if host or dhcp_server:
            raise InvalidInput(
                "a host and a dhcp_server are for a network that one host "
                "serves: set multi_host to false"
            )
        return {}
    chosen = dhcp_server or first
    found = checks.address_in(chosen, checks.cidr(cidr), "DHCP server")
    return {
        "host": checks.optional_name(host, "host"),
        "dhcp_server": str(found),
    }


def reason(address: str, dhcp_server: str | None) -> str | None:
    """Return why an address of a new network is set aside."""
    return "its DHCP server" if address == dhcp_server else None


def _bounds(
    network: IPv4Network,
    fixed_cidr: str | None,
    allowed_start: str | None,
    allowed_end: str | None,
) -> tuple[int, int]:
    """Return the first and the last offset that may be given out.

    The network's own address and its broadcast address never are.
    """
    cidr = str(network)
    first, last = 1, network.num_addresses - 2
    if fixed_cidr:
        part = checks.cidr(fixed_cidr)
        if not part.subnet_of(network):
            raise InvalidCidr(f"{part} is not a part of {network}")
        first = max(first, ranges.position(cidr, str(part[0])))
        last = min(last, ranges.position(cidr, str(part[-1])))
    if allowed_start:
        start = checks.address_in(allowed_start, network, "first address")
        first = max(first, ranges.position(cidr, str(start)))
    if allowed_end:
        end = checks.address_in(allowed_end, network, "last address")
        last = min(last, ranges.position(cidr, str(end)))
    return first, last
