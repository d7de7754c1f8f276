"""The addresses of rows, which may hold anything, and those MACs make."""

import ipaddress
import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

_MAC = re.compile("[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)
_LINK_LOCAL = "fe80::/64"
# Nearly all rows are what they were in the pass before.
_REMEMBERED = 1 << 14
_PREFIXES = 256
Address = IPv4Address | IPv6Address


def is_mac(text: str) -> bool:
    """Whether it is one, in capitals or not."""
    return bool(_MAC.fullmatch(text))


@lru_cache(_REMEMBERED)
def of_family(addresses: tuple[str, ...], family: int) -> tuple[str, ...]:
    """Return the valid addresses of one family, once each, sorted.

    One with a zone (`fe80::1%eth0`) means something on one machine alone.
    """
    found: dict[Address, str] = {}
    for text in addresses:
        if "%" in text:
            continue
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if address.version == family:
            found[address] = str(address)
    texts = tuple(found[address] for address in sorted(found, key=int))
    # Nearly always these very ones, and then not another thousand of them.
    return addresses if texts == addresses else texts


def eui64_address(prefix: str, mac: str) -> str:
    """Return the IPv6 address that a MAC makes in a /64 (RFC 4291, A).

    >>> eui64_address("fe80::/64", "fa:16:3e:00:00:01")
    'fe80::f816:3eff:fe00:1'
    """
    octets = bytearray.fromhex(mac.replace(":", ""))
    octets[0] ^= 2
    octets[3:3] = b"\xff\xfe"
    return str(IPv6Address(_first(prefix) + int.from_bytes(octets)))


@lru_cache(_PREFIXES)
def _first(prefix: str) -> int:
    """The first address of a range, which all guests of a network have."""
    return int(ipaddress.IPv6Network(prefix).network_address)


@lru_cache(_REMEMBERED)
def made_by(mac: str, cidr_v6: str | None) -> tuple[str, ...]:
    """Return the IPv6 addresses that a MAC makes, none if it is no MAC."""
    if not is_mac(mac):
        return ()
    prefixes = [_LINK_LOCAL]
    if cidr_v6 and cidr_v6.endswith("/64"):
        prefixes.append(cidr_v6)
    return tuple(eui64_address(prefix, mac) for prefix in prefixes)
