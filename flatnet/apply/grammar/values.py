"""The types of the texts and numbers in a plan; each check raises ValueError.

All of them are spelled in ASCII and in one way alone: what `ipaddress` or
`int` would take beside that (zones, other digits, capital letters, blanks) is
refused, for programs read on where Python stops.
"""

import ipaddress
import re
import socket
from collections.abc import Callable
from functools import lru_cache

from flatnet.state.rows import RATES

# Nearly all of a plan is what it was in the pass before.
_REMEMBERED = 1 << 16
# Not `+`, with which iptables means any device whose name begins so, nor `@`,
# behind which `ip` shows another device and dnsmasq reads one.
_DEVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")
_PORT = re.compile(r"tap[0-9a-f]{8}-[0-9a-f]{2}")
_PEER = re.compile(r"vif[0-9a-f]{8}-[0-9a-f]{2}")
_MAC = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}")
# Before anything parses them, whose complaints repeat what they were given.
_ADDRESS = re.compile(r"[0-9a-f.:]{2,45}")
_NETWORK = re.compile(r"[0-9a-f.:]{2,45}(/[0-9]{1,3})?")
_UUID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,35}")
# Those of a directory service have a domain.
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}")
_HOSTNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_DOMAIN = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,252})?")
_DIGITS = re.compile(r"[0-9a-f]+")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,9}")


def _matching(pattern: re.Pattern[str], text: object, what: str) -> None:
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise ValueError(f"{_shown(text)} is no {what}")


def device(text: object) -> None:
    """A network device of this host."""
    _matching(_DEVICE, text, "name of a device")


def port_name(text: object) -> None:
    """The host's end of what leads to an instance."""
    _matching(_PORT, text, "name of a port")


def peer_name(text: object) -> None:
    """The end that a container takes."""
    _matching(_PEER, text, "name of a peer")


def mac(text: object) -> None:
    """A MAC of one machine, and not of a group."""
    _matching(_MAC, text, "MAC of a guest")


def uuid(text: object) -> None:
    """What names an instance or a network."""
    _matching(_UUID, text, "uuid")


def user(text: object) -> None:
    """A user's or a group's name."""
    _matching(_USER, text, "name of a user")


def rate(number: object) -> None:
    """What a port may send and take, in bit/s; 0 is as much as it can."""
    if type(number) is not int or (number and number not in RATES):
        raise ValueError(f"{_shown(number)} is no rate of a port")


def hostname(text: object) -> None:
    """A name without a domain."""
    _matching(_HOSTNAME, text, "hostname")


def domain(text: object) -> None:
    """A domain, or none."""
    _matching(_DOMAIN, text, "domain")


def address(text: object) -> None:
    """An address of either family."""
    _matching(_ADDRESS, text, "address")
    if _is_as_printed(str(text)):
        return
    if str(ipaddress.ip_address(str(text))) != text:
        raise ValueError(f"{_shown(text)} is not how an address is written")


def _is_as_printed(text: str) -> bool:
    """Whether the C library prints an address so: a tenth of the time.

    It agrees with `ipaddress` but for IPv4 in IPv6, which is left to that.
    """
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    if family == socket.AF_INET6 and "." in text:
        return False
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, text)) == text
    except OSError:
        return False


def ipv4(text: object) -> None:
    """An IPv4 address."""
    address(text)
    if ":" in str(text):
        raise ValueError(f"{_shown(text)} is no IPv4 address")


def ipv6(text: object) -> None:
    """An IPv6 address."""
    address(text)
    if ":" not in str(text):
        raise ValueError(f"{_shown(text)} is no IPv6 address")


@lru_cache(_REMEMBERED)
def network(text: object) -> None:
    """A cidr of either family, or one address."""
    _matching(_NETWORK, text, "network")
    whole, base = str(text), str(text).partition("/")[0]
    if whole not in (str(ipaddress.ip_network(whole)), base):
        raise ValueError(f"{_shown(text)} is not how a network is written")
    address(base)


def network4(text: object) -> None:
    """An IPv4 cidr."""
    network(text)
    if ":" in str(text):
        raise ValueError(f"{_shown(text)} is no IPv4 network")


def network6(text: object) -> None:
    """An IPv6 cidr."""
    network(text)
    if ":" not in str(text):
        raise ValueError(f"{_shown(text)} is no IPv6 network")


@lru_cache(_REMEMBERED)
def interface(text: object) -> None:
    """An IPv4 address with its prefix."""
    if not isinstance(text, str):
        raise ValueError(f"{_shown(text)} is no address with a prefix")
    ip, _, prefix = text.partition("/")
    ipv4(ip)
    number(prefix, range(33))


def number(text: object, numbers: range) -> None:
    """A number as text."""
    _matching(_NUMBER, text, "number")
    if int(str(text)) not in numbers:
        raise ValueError(f"{_shown(text)} is out of range")


def hexadecimal(text: object, length: int) -> None:
    """So many hexadecimal digits, in small letters."""
    _matching(_DIGITS, text, "hexadecimal number")
    if len(str(text)) != length:
        raise ValueError(f"{_shown(text)} is no number of {length} digits")


def integer(value: object, numbers: range) -> None:
    """A number; True and False are none."""
    if type(value) is not int or value not in numbers:
        raise ValueError(f"{_shown(value)} is out of range")


def choice(value: object, known: tuple[object, ...]) -> None:
    """One of a few."""
    if value not in known or type(value) not in map(type, known):
        raise ValueError(f"{_shown(value)} is none of {known}")


def _shown(value: object) -> str:
    """A value as text that cannot break a line, and is not long."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def each(check: Callable[[object], None], *given: str | None) -> None:
    """Check what is there."""
    for value in given:
        if value is not None:
            check(value)
