"""The addresses of rows, which may hold anything."""

import ipaddress
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

# Nearly all rows are what they were in the pass before.
_REMEMBERED = 1 << 14
Address = IPv4Address | IPv6Address


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
