"""Arguments, checked before they become rows.

Each function returns the value as it is stored, or raises the error that
has a name.  Errors quote the value as Python would, in one line.
"""

import re
import uuid as uuids
from collections.abc import Iterable
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

from flatnet.exceptions import (
    FixedIpInvalid,
    InvalidBridgeName,
    InvalidCidr,
    InvalidInput,
    InvalidMacAddress,
)
from flatnet.state.rows import DEVICE_NAME, MTUS

_NAME_LENGTH = 255
_LAST_ID = 2**31 - 1
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_MULTICAST_BIT = 0x01
# Its loopback, and what sysctl has for every device.
_NO_DEVICE = ("lo", "all", "default")
# What the host's end of a port has instead of the guest's first octet.
_HOST_END = "fe:"
_METADATA = IPv4Address("169.254.169.254")
# Bits of an IPv6 range that leave as many as a MAC fills.
_MADE_BY_MACS = 64


def row_id(text: str) -> int | None:
    """The integer id of a row that a text may be, or none."""
    # Python reads no number of thousands of digits.
    is_short = len(text) <= len(str(_LAST_ID))
    if is_short and text.isascii() and text.isdigit():
        return int(text) if int(text) <= _LAST_ID else None
    return None


def name(value: str, what: str) -> str:
    """A text that is not empty and fits its column."""
    if not value or len(value) > _NAME_LENGTH or "\0" in value:
        raise InvalidInput(
            f"{what} {value!r} is empty, longer than {_NAME_LENGTH} "
            "characters or not text"
        )
    return value


def optional_name(value: str | None, what: str) -> str | None:
    """A text that fits its column, or none."""
    return name(value, what) if value else value


def uuid(value: str) -> str:
    """A uuid as nova writes it: in lower case, with hyphens."""
    try:
        return str(uuids.UUID(value))
    except (ValueError, AttributeError, TypeError) as error:
        raise InvalidInput(f"{value!r} is not a uuid") from error


def device_name(value: str) -> str:
    """A name that all programs take for one network device.

    :raises InvalidBridgeName: some would refuse it, or take it for others
    """
    if value in _NO_DEVICE:
        raise InvalidBridgeName(
            f"{value!r} means something else to Linux: choose another name"
        )
    if not DEVICE_NAME.fullmatch(value):
        raise InvalidBridgeName(
            f"{value!r} cannot name a device: 1 to 15 characters are needed, "
            "letters, digits and underscores, then dots and hyphens too"
        )
    return value


def mac(value: str) -> str:
    """A unicast MAC address in lower case with colons.

    :raises InvalidMacAddress: it is malformed, multicast, all zeros or that
        of a host's end of a port
    """
    text = str(value).lower()
    if not _MAC.fullmatch(text):
        raise InvalidMacAddress(
            f"{value!r} is not a MAC address such as fa:16:3e:00:00:01"
        )
    if int(text[:2], 16) & _MULTICAST_BIT or not text.strip("0:"):
        raise InvalidMacAddress(f"{value!r} is not a unicast MAC address")
    if text.startswith(_HOST_END):
        raise InvalidMacAddress(
            f"MAC address {value!r} begins with {_HOST_END}, which is what "
            "the host's end of its port has, so the instance would hear "
            "no neighbour: choose another first octet, such as fa:"
        )
    return text


def cidr(value: str) -> IPv4Network:
    """An IPv4 range for guests.

    :raises InvalidCidr: it is malformed, has host bits set or is special
    """
    try:
        network = IPv4Network(value)
    except ValueError as error:
        raise InvalidCidr(
            f"{value!r} is not an IPv4 cidr such as 10.0.0.0/24: {error}"
        ) from error
    first = network.network_address
    if (
        first.is_multicast
        or first.is_loopback
        or first.is_unspecified
        or first.is_reserved
    ):
        raise InvalidCidr(f"{value!r} is no range for hosts")
    if _METADATA in network:
        raise InvalidCidr(
            f"{value!r} holds {_METADATA}, where guests expect the metadata "
            "service: choose a range without it"
        )
    return network


def cidr_v6(value: str) -> IPv6Network:
    """An IPv6 range in which MACs make addresses.

    :raises InvalidCidr: it is malformed, has host bits set, is no /64, or is
        not for hosts
    """
    try:
        network = IPv6Network(value)
    except ValueError as error:
        raise InvalidCidr(
            f"{value!r} is not an IPv6 cidr such as fd00::/64: {error}"
        ) from error
    if network.prefixlen != _MADE_BY_MACS:
        raise InvalidCidr(
            f"{value!r} is no /64: an interface's IPv6 address is made of "
            "that many bits of the range and of its MAC"
        )
    first = network.network_address
    if first.is_multicast or first.is_link_local or not int(first):
        raise InvalidCidr(f"{value!r} is no range for hosts")
    return network


def gateway_v6(value: str, network: IPv6Network) -> IPv6Address:
    """The address of a router of a network's own.

    :raises FixedIpInvalid: it is none of IPv6, or not on that network
    """
    try:
        found = IPv6Address(value)
    except ValueError as error:
        raise FixedIpInvalid(f"{value!r} is not an IPv6 address") from error
    if found.scope_id or not (found in network or found.is_link_local):
        raise FixedIpInvalid(
            f"gateway_v6 {value} is neither in {network} nor link-local"
        )
    return found


def address(value: str) -> IPv4Address:
    """An IPv4 address.

    :raises FixedIpInvalid: it is not one
    """
    try:
        return IPv4Address(str(value))
    except AddressValueError as error:
        raise FixedIpInvalid(f"{value!r} is not an IPv4 address") from error


def address_in(value: str, network: IPv4Network, what: str) -> IPv4Address:
    """An address that a machine of the network can have.

    :raises FixedIpInvalid: it is none, or outside, or the network's own
    """
    found = address(value)
    if found not in network or found in (
        network.network_address,
        network.broadcast_address,
    ):
        raise FixedIpInvalid(
            f"{what} {value} is no host's address in {network}"
        )
    return found


def name_server(value: str | None) -> str | None:
    """An address of either family, or none.

    :raises FixedIpInvalid: it is not one
    """
    if not value:
        return None
    try:
        return str(ip_address(value))
    except ValueError as error:
        raise FixedIpInvalid(
            f"name server {value!r} is not an address"
        ) from error


def mtu(value: int | None) -> int | None:
    """Bytes of an IP packet, or none."""
    if value is not None and value not in MTUS:
        raise InvalidInput(
            f"mtu {value} is not between {MTUS[0]} and {MTUS[-1]}"
        )
    return value


def macs(values: Iterable[str]) -> tuple[str, ...]:
    """MAC addresses as they are stored, in the order given."""
    return tuple(mac(value) for value in values)
