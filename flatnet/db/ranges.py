"""Addresses as offsets in a cidr: they sort and compare as numbers."""

from ipaddress import IPv4Address, IPv4Network


def position(cidr: str, address: str) -> int:
    """Return the offset of an address in a cidr; negative if below it."""
    return int(IPv4Address(address)) - int(IPv4Network(cidr).network_address)


def address_at(cidr: str, offset: int) -> str:
    """Return the address at an offset in a cidr."""
    return str(IPv4Network(cidr).network_address + offset)


def size(cidr: str) -> int:
    """Return how many offsets a cidr has."""
    return IPv4Network(cidr).num_addresses
