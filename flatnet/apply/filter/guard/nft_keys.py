"""The keys of nftables' sets: as the kernel has them and as nft writes them.

An element is a tuple of texts, one for each part of its key.  In the kernel
it is the parts one after the other, each filled up to four bytes where
there is more than one.  Of a map what it leads to is the last part.
"""

import ipaddress
import re
import socket
import struct
import sys
from collections.abc import Iterable
from functools import lru_cache

Element = tuple[str, ...]
# Attributes, of which that of what an element of a map leads to.
_ATTRIBUTE = struct.Struct("=HH")
_DATA, _TYPE = 2, 0x3FFF
_RAW = re.compile(r"@th,\d+,(\d+)")
_BETWEEN = re.compile(" [.:] ")
_LENGTHS = {
    "ifname": 16,
    "iifname": 16,
    "ether_addr": 6,
    "ipv4_addr": 4,
    "ipv6_addr": 16,
    "inet_service": 2,
    "mark": 4,
}


@lru_cache(64)
def parts(key: str) -> tuple[str, ...]:
    """Return the types in a set's type line.

    >>> parts("type ifname . ipv4_addr; flags timeout")
    ('ifname', 'ipv4_addr')
    """
    types = key.partition(";")[0].split(" ", 1)[1]
    return tuple(part.strip() for part in _BETWEEN.split(types))


@lru_cache(64)
def value_size(key: str) -> int:
    """Return how many bytes of an element are what it leads to.

    >>> value_size("type ifname : mark")
    4
    """
    return _length(parts(key)[-1]) if " : " in key else 0


# Of what differs each is asked for a few times.
@lru_cache(1 << 9)
def encoded(key: str, element: Element) -> bytes:
    """Return the kernel's key of an element.

    :raises ValueError: a part is not of its type
    """
    return next(iter(by_key(key, (element,))))


def by_key(key: str, elements: Iterable[Element]) -> dict[bytes, Element]:
    """Return elements of one set by their keys in the kernel.

    When a worker begins there are fifteen of each guest.

    :raises ValueError: a part is not of its type
    """
    kinds = parts(key)
    return {_joined(kinds, each): each for each in elements}


def decoded(key: str, data: bytes) -> Element:
    """Return the element that has this key in the kernel."""
    found = []
    kinds = parts(key)
    for kind in kinds:
        length = _length(kind)
        found.append(_decoded(kind, data[:length]))
        data = data[length + (-length % 4 if len(kinds) > 1 else 0) :]
    return tuple(found)


def text(key: str, element: Element) -> str:
    """Return an element as nft reads it."""
    *texts, last = (
        f'"{part}"' if kind in ("ifname", "iifname") else part
        for kind, part in zip(parts(key), element, strict=True)
    )
    if value_size(key):
        return f"{' . '.join(texts)} : {last}"
    return " . ".join((*texts, last))


def listed(data: bytes) -> list[tuple[bytes, bool]]:
    """Return (key, whether it has nothing but a key) of each element.

    Of a thousand ports there are ten thousand, so this is one loop: an
    element is an attribute with one for its key, with one for its value.  What
    an element of a map leads to, in the same form, counts as part of its key.
    """
    found = []
    at, end, header = 0, len(data), _ATTRIBUTE.unpack_from
    while at < end:
        length, _ = header(data, at)
        inner, _ = header(data, at + 4)
        value, _ = header(data, at + 8)
        key = data[at + 12 : at + 8 + value]
        after = (inner + 7) & ~3
        if after < length:
            inner, kind = header(data, at + after)
            if kind & _TYPE == _DATA:
                value, _ = header(data, at + after + 4)
                key += data[at + after + 8 : at + after + 4 + value]
                after += (inner + 3) & ~3
        found.append((key, after >= length))
        at += (length + 3) & ~3
    return found


def _length(kind: str) -> int:
    raw = _RAW.fullmatch(kind)
    return int(raw[1]) // 8 if raw else _LENGTHS[kind]


def _encoded(kind: str, value: str) -> bytes:
    match kind:
        case "ifname" | "iifname":
            return value.encode().ljust(16, b"\0")
        case "ether_addr":
            return bytes.fromhex(value.replace(":", ""))
        case "ipv4_addr":
            return _packed(socket.AF_INET, value)
        case "ipv6_addr":
            return _packed(socket.AF_INET6, value)
        case "mark":
            return int(value, 0).to_bytes(_length(kind), sys.byteorder)
        case _:
            return int(value, 0).to_bytes(_length(kind))


def _joined(kinds: tuple[str, ...], element: Element) -> bytes:
    values = [
        _encoded(kind, text) for kind, text in zip(kinds, element, strict=True)
    ]
    if len(values) == 1:
        return values[0]
    return b"".join(value + b"\0" * (-len(value) % 4) for value in values)


def _packed(family: int, value: str) -> bytes:
    # There may be ten thousand, and `ipaddress` takes twenty times as long.
    try:
        return socket.inet_pton(family, value)
    except OSError as error:
        raise ValueError(f"{value!r} is no address") from error


def _decoded(kind: str, data: bytes) -> str:
    match kind:
        case "ifname" | "iifname":
            return data.rstrip(b"\0").decode(errors="replace")
        case "ether_addr":
            return data.hex(":")
        case "ipv4_addr" | "ipv6_addr":
            return str(ipaddress.ip_address(data))
        case "inet_service":
            return str(int.from_bytes(data))
        case "mark":
            return f"{int.from_bytes(data, sys.byteorder):#010x}"
        case _:
            return f"0x{data.hex()}"
