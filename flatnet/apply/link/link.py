"""A network device and an address, as the kernel says them.

pyroute2 decodes every attribute of every device, which with a thousand ports
takes longer than all the rest of a pass: so of a message only that is read
here which somebody asks for.
"""

import ipaddress
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from flatnet.apply.link.blocked_ports import blocked, has_hairpin
from flatnet.apply.link.rtnl import answer, dump
from flatnet.apply.netlink import attribute, by_kind

MARK = "flatnet:"
# The origin that we give to our addresses (IFA_PROTO, Linux 5.18).  Values
# up to 3 are the kernel's own; older kernels drop it, and then an address is
# never known as ours and so never removed.
ADDRESS_ORIGIN = 0xFA
NO_LINKLOCAL_LEARN = 1
NO_OPENER = 0xFFFFFFFF
# From linux/rtnetlink.h, linux/if_link.h, linux/if_tun.h, linux/if_addr.h.
_NEW_LINK, _GET_LINK, _NEW_ADDRESS, _GET_ADDRESS = 16, 18, 20, 22
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_MAC, _NAME, _MTU, _FAR_LINK, _MASTER = 1, 3, 4, 5, 10
_INFO, _ALIAS, _FAMILIES, _EXT_MASK = 18, 20, 26, 29
_CARRIER, _FAR_NAMESPACE = 33, 37
_KIND, _DATA = 1, 2
_TUN_OWNER, _TUN_GROUP = 1, 2
_BRIDGE_OPTIONS = {
    "IFLA_BR_STP_STATE": 5,
    "IFLA_BR_FORWARD_DELAY": 1,
    "IFLA_BR_GROUP_FWD_MASK": 9,
    "IFLA_BR_NF_CALL_IPTABLES": 36,
    "IFLA_BR_NF_CALL_IP6TABLES": 37,
    "IFLA_BR_VLAN_FILTERING": 7,
    "IFLA_BR_VLAN_DEFAULT_PVID": 39,
}
_BRIDGE_BOOLEANS = 46
_PROTOCOL, _INET6, _INET6_CONF, _DISABLE_IPV6 = 12, 10, 2, 26
_FAR_END, _LOCAL, _ORIGIN = 1, 2, 11
_UP, _NO_ARP = 1, 1 << 7
_SCOPE_GLOBAL = 0
SCOPE_LINK = 253
_SKIP_STATISTICS = attribute(_EXT_MASK, struct.pack("=I", 1 << 3))
_VIRTUAL = ("tun", "veth", "macvtap", "macvlan")
# What the host may reach guests by: bridges, and what stands on one.
SWITCHES = ("bridge", "ipvlan", "ipvtap", "macvlan", "macvtap")


@dataclass(frozen=True, slots=True)
class Link:
    """A network device; `kind` is empty for a card.

    `master` is the index of its bridge, 0 for none; `peer` the index of a
    veth's other end, or of what a macvlan stands on, if that is in this
    namespace, else 0.  `options` are those of a bridge, by netlink's names,
    as far as the kernel has them.
    `ipv6` is false where IPv6 is disabled or unknown to the device.
    `opener` are the uid and gid that may open a tap.  `up` is what was set,
    `carrier` says that somebody is at the other end, `away` that a pair's is
    in another namespace.  `blocked`: its bridge keeps packets from it.  `arp`
    is false where it neither asks nor answers who has an address.
    `hairpin`: its bridge sends back to it what came from it.
    """

    index: int
    name: str
    kind: str
    alias: str
    master: int
    peer: int
    mac: str
    mtu: int
    up: bool
    ipv6: bool
    options: tuple[tuple[str, int], ...] = ()
    opener: tuple[int, int] | None = None
    carrier: bool = False
    away: bool = False
    blocked: bool = False
    arp: bool = True
    hairpin: bool = False

    @property
    def ours(self) -> bool:
        """Whether it bears our mark."""
        return self.alias.startswith(MARK)

    @property
    def is_virtual(self) -> bool:
        """Whether it is of a kind that guests are behind."""
        return self.kind in _VIRTUAL


def lets_pass(bridge: Link | None) -> bool:
    """Whether a bridge blocks a port only where somebody has told it to.

    One that is down blocks all, and a spanning tree says itself who passes.
    """
    return bool(
        bridge
        and bridge.up
        and not dict(bridge.options).get("IFLA_BR_STP_STATE")
    )


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a device; `value` has the prefix."""

    index: int
    value: str
    is_global: bool
    ours: bool

    @property
    def leads_to_network(self) -> bool:
        """Whether it is ours, and a bridge's: a floating one is alone."""
        return self.ours and not self.value.endswith("/32")

    @property
    def ip(self) -> str:
        """The address without its prefix."""
        return self.value.partition("/")[0]


def read_links() -> tuple[Link, ...]:
    """Return the devices of the current namespace, by index.

    :raises HostSetupError: the kernel does not tell
    """
    found = [link(body) for body in dumped()]
    return tuple(sorted(found, key=lambda each: each.index))


def dumped() -> Iterator[bytes]:
    """Yield what the kernel says of each device of the current namespace.

    :raises HostSetupError: it does not tell
    """
    question = _LINK.pack(0, 0, 0, 0, 0) + _SKIP_STATISTICS
    for kind, body in dump(_GET_LINK, question):
        if kind == _NEW_LINK:
            yield body


def read_link(name: str) -> Link:
    """Return one device of the current namespace.

    :raises OSError: it does not exist, or the kernel does not tell
    """
    named = attribute(_NAME, name.encode() + b"\0")
    question = _LINK.pack(0, 0, 0, 0, 0) + _SKIP_STATISTICS + named
    return link(answer(_GET_LINK, question))


def read_addresses() -> tuple[Address, ...]:
    """Return all addresses of the current namespace, as the kernel has them.

    :raises HostSetupError: the kernel does not tell
    """
    question = _ADDRESS.pack(0, 0, 0, 0, 0)
    return tuple(
        address(body)
        for kind, body in dump(_GET_ADDRESS, question)
        if kind == _NEW_ADDRESS
    )


def link(body: bytes) -> Link:
    """Return what the body of a message says of a device."""
    _, _, index, flags, _ = _LINK.unpack_from(body)
    values = by_kind(body[_LINK.size :])
    info = by_kind(values.get(_INFO, b""))
    # Nearly all are of one kind, and a thousand texts would say so.
    kind = sys.intern(_text(info.get(_KIND, b"")))
    data = by_kind(info.get(_DATA, b""))
    away = _FAR_NAMESPACE in values
    return Link(
        index=index,
        name=_text(values.get(_NAME, b"")),
        kind=kind,
        alias=_text(values.get(_ALIAS, b"")),
        master=_number(values.get(_MASTER, b"")),
        peer=0 if away else _number(values.get(_FAR_LINK, b"")),
        mac=values.get(_MAC, b"").hex(":"),
        mtu=_number(values.get(_MTU, b"")),
        up=bool(flags & _UP),
        ipv6=_ipv6(by_kind(values.get(_FAMILIES, b"")).get(_INET6, b"")),
        options=_options(data) if kind == "bridge" else (),
        opener=_opener(data) if kind == "tun" else None,
        carrier=values.get(_CARRIER) == b"\1",
        away=away,
        blocked=blocked(info, flags),
        arp=not flags & _NO_ARP,
        hairpin=has_hairpin(info),
    )


def address(body: bytes) -> Address:
    """Return what the body of a message says of an address."""
    _, prefix, _, scope, index = _ADDRESS.unpack_from(body)
    values = by_kind(body[_ADDRESS.size :])
    # Of a point-to-point link the first is the far end.
    raw = values.get(_LOCAL) or values.get(_FAR_END, b"")
    return Address(
        index=index,
        value=f"{ipaddress.ip_address(raw)}/{prefix}",
        is_global=scope == _SCOPE_GLOBAL,
        ours=_number(values.get(_ORIGIN, b"")) == ADDRESS_ORIGIN,
    )


def _opener(data: dict[int, bytes]) -> tuple[int, int]:
    """Who may open a tap; the kernel shows none as nothing."""
    uid, gid = (
        _number(data[each]) if each in data else NO_OPENER
        for each in (_TUN_OWNER, _TUN_GROUP)
    )
    return uid, gid


def has_ipv6(body: bytes) -> bool:
    """Whether a device has IPv6, by what IPv6 itself says of it."""
    values = by_kind(body[_LINK.size :])
    return _ipv6(values.get(_PROTOCOL, b""))


def _ipv6(inet6: bytes) -> bool:
    settings = by_kind(inet6).get(_INET6_CONF, b"")
    value = settings[4 * _DISABLE_IPV6 : 4 * _DISABLE_IPV6 + 4]
    return bool(value) and not _number(value)


def _options(data: dict[int, bytes]) -> tuple[tuple[str, int], ...]:
    known = [
        (name, _number(data[number]))
        for name, number in _BRIDGE_OPTIONS.items()
        if number in data
    ]
    if _BRIDGE_BOOLEANS in data:
        bits = _number(data[_BRIDGE_BOOLEANS][:4])
        known.append(("IFLA_BR_MULTI_BOOLOPT", bits & NO_LINKLOCAL_LEARN))
    return tuple(known)


def _number(value: bytes) -> int:
    return int.from_bytes(value, sys.byteorder)


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")
