"""Addresses as offsets in a cidr: they sort and compare as numbers.

:raises InvalidCidr: the cidr, which somebody wrote into a row, is none
"""

from ipaddress import IPv4Address, IPv4Network

from flatnet.exceptions import InvalidCidr


def position(cidr: str, address: str) -> int:
    """Return the offset of an address in a cidr; negative if below it."""
    return int(IPv4Address(address)) - int(_network(cidr).network_address)


def address_at(cidr: str, offset: int) -> str:
    """Return the address at an offset in a cidr."""
    return str(_network(cidr).network_address + offset)


def size(cidr: str) -> int:
    """Return how many offsets a cidr has."""
    return _network(cidr).num_addresses


def _network(cidr: str) -> IPv4Network:
    try:
        return IPv4Network(cidr)
    except ValueError as error:
        raise InvalidCidr(
            f"a network's row has cidr {cidr!r}, which is no IPv4 range: "
            f"mend it ({error})"
        ) from error
