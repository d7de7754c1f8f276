"""The IPv6 addresses that MACs make (RFC 4291, appendix A)."""

import ipaddress
import re
from functools import lru_cache

LINK_LOCAL = "fe80::/64"
_MAC = re.compile("[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)
# Nearly all rows are what they were in the pass before.
_REMEMBERED = 1 << 14
_PREFIXES = 256


def is_mac(text: str) -> bool:
    """Whether it is one, in capitals or not."""
    return bool(_MAC.fullmatch(text))


def is_prefix(cidr_v6: str | None) -> bool:
    """Whether MACs make addresses in a range: one of IPv6, and a /64."""
    return bool(cidr_v6) and str(cidr_v6).endswith("/64")


def eui64_address(prefix: str, mac: str) -> str:
    """Return the IPv6 address that a MAC makes in a /64.

    >>> eui64_address("fe80::/64", "fa:16:3e:00:00:01")
    'fe80::f816:3eff:fe00:1'
    """
    octets = bytearray.fromhex(mac.replace(":", ""))
    octets[0] ^= 2
    octets[3:3] = b"\xff\xfe"
    address = _first(prefix) + int.from_bytes(octets)
    return str(ipaddress.IPv6Address(address))


@lru_cache(_PREFIXES)
def _first(prefix: str) -> int:
    """The first address of a range, which all guests of a network have."""
    return int(ipaddress.IPv6Network(prefix).network_address)


@lru_cache(_REMEMBERED)
def made_by(mac: str, cidr_v6: str | None) -> tuple[str, ...]:
    """Return the IPv6 addresses that a MAC makes, none if it is no MAC.

    The link-local one first, then that in a network's range, if it has one.
    """
    if not is_mac(mac):
        return ()
    prefixes = [LINK_LOCAL]
    if cidr_v6 and is_prefix(cidr_v6):
        prefixes.append(cidr_v6)
    return tuple(eui64_address(prefix, mac) for prefix in prefixes)
