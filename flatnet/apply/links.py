"""What the kernel says of links and addresses, and one way to change it.

`Host` is one netlink connection with one dump of links and one of addresses.
It reads all at once because a request per port costs more than the whole
dump, and it rereads a link only when it wrote it.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink import nla
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from flatnet.exceptions import HostSetupError
from flatnet.state import Failure

MARK = "flatnet:"
# The origin that we give to our addresses (IFA_PROTO, Linux 5.18).  Values
# up to 3 are the kernel's own; older kernels drop it, and then an address is
# never known as ours and so never removed.
ADDRESS_ORIGIN = 0xFA
SCOPE_GLOBAL = 0
UP = 1
SKIP_STATISTICS = 1 << 3
ERRORS = (NetlinkError, OSError, HostSetupError)
OPTIONS = (
    "IFLA_BR_STP_STATE",
    "IFLA_BR_FORWARD_DELAY",
    "IFLA_BR_GROUP_FWD_MASK",
    "IFLA_BR_NF_CALL_IPTABLES",
    "IFLA_BR_NF_CALL_IP6TABLES",
    "IFLA_BR_VLAN_FILTERING",
    "IFLA_BR_VLAN_DEFAULT_PVID",
)
NO_LINKLOCAL_LEARN = 1
NO_OPENER = 0xFFFFFFFF


class BridgeData(ifinfmsg.ifinfo.bridge_data):  # type: ignore[misc]
    """A bridge's attributes, with those that pyroute2 0.9.7 lacks."""

    nla_map = (
        *ifinfmsg.ifinfo.bridge_data.nla_map,
        ("IFLA_BR_VLAN_STATS_PER_PORT", "uint8"),
        ("IFLA_BR_MULTI_BOOLOPT", "boolopt"),
    )

    class boolopt(nla):  # type: ignore[misc]  # noqa: N801 (as pyroute2)
        """`struct br_boolopt_multi`: bits, and which of them are meant."""

        fields = (("optval", "I"), ("optmask", "I"))


@dataclass(frozen=True)
class Link:
    """A network device.

    `master` is the index of its bridge, 0 for none; `peer` the index of a
    veth's other end if that is in this namespace, else 0.  `options` are
    those of a bridge, by netlink's names, as far as the kernel has them.
    `ipv6` is false where IPv6 is disabled or unknown to the device.
    `opener` are the uid and gid that may open a tap.  `carrier` says that
    somebody is at the other end, `away` that a pair's is in another
    namespace.
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

    @property
    def ours(self) -> bool:
        """Whether it bears our mark."""
        return self.alias.startswith(MARK)


@dataclass(frozen=True)
class Address:
    """An address of a device; `value` has the prefix."""

    index: int
    value: str
    is_global: bool
    ours: bool

    @property
    def ip(self) -> str:
        """The address without its prefix."""
        return self.value.partition("/")[0]


@dataclass
class Host:
    """One pass over this host's links: what is there, and what was done."""

    netlink: IPRoute
    links: dict[str, Link]
    addresses: list[Address]
    made: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def by_index(self, index: int) -> Link | None:
        """The link of that index."""
        found = (link for link in self.links.values() if link.index == index)
        return next(found, None)

    def slaves(self, index: int) -> list[Link]:
        """The ports of the bridge of that index."""
        return [each for each in self.links.values() if each.master == index]

    def reread(self, name: str) -> Link:
        """Ask the kernel for a link again.

        :raises NetlinkError: it does not exist
        """
        link = _link(self.netlink.link("get", ifname=name)[0])
        self.links[name] = link
        return link

    def write(self, link: Link, **attributes: Any) -> Link:
        """Set attributes of a link in one message; return it reread."""
        self.netlink.link("set", index=link.index, **attributes)
        return self.reread(link.name)

    def pin_mac(self, bridge: Link) -> None:
        """Keep the MAC of a foreign bridge that is about to get a port.

        Setting the MAC that it has makes Linux stop choosing one.  Ours
        have theirs set from the beginning.
        """
        if not bridge.ours:
            self.netlink.link("set", index=bridge.index, address=bridge.mac)

    def delete(self, link: Link) -> None:
        """Remove a device, and a veth's other end with it."""
        self.netlink.link("del", index=link.index)
        self.links = {
            each.name: each
            for each in self.links.values()
            if each.index not in (link.index, link.peer)
        }

    def fail(
        self, subject: str, error: Exception, instances: tuple[str, ...] = ()
    ) -> None:
        """Note that a part of the plan could not be applied, in one line."""
        self.failures.append(Failure(subject, reason(error), instances))


@contextlib.contextmanager
def host() -> Iterator[Host]:
    """Connect to the kernel of the current namespace and read it."""
    with connected() as netlink:
        links = netlink.get_links(ext_mask=SKIP_STATISTICS)
        yield Host(
            netlink=netlink,
            links={link.name: link for link in map(_link, links)},
            addresses=[_address(each) for each in netlink.get_addr()],
        )


def connected() -> IPRoute:
    """A netlink connection that knows all attributes of bridges."""
    ifinfmsg.ifinfo.register_link_kind(module={"bridge": BridgeData})
    return IPRoute()


def reason(error: Exception) -> str:
    """Return one line for an error of the kernel or of ours."""
    if isinstance(error, NetlinkError):
        return f"the kernel refused: {os.strerror(error.code)}"
    return " ".join(str(error).split())


def disable_ipv6(link: Link) -> None:
    """Keep the host's IPv6 off a device that belongs to guests.

    Else the host would take a link-local address there, which every guest
    could talk to, and believe the guests' router advertisements.
    """
    directory = Path("/proc/sys/net/ipv6/conf", link.name)
    for name, value in (("accept_ra", "0"), ("disable_ipv6", "1")):
        (directory / name).write_text(value)
        actual = (directory / name).read_text().strip()
        if actual != value:
            raise HostSetupError(
                f"{value} was written to net.ipv6.conf.{link.name}.{name}, "
                f"but it reads {actual}"
            )


def _link(message: Any) -> Link:
    info = message.get_attr("IFLA_LINKINFO")
    kind = (info.get_attr("IFLA_INFO_KIND") if info else None) or ""
    away = message.get_attr("IFLA_LINK_NETNSID") is not None
    return Link(
        index=message["index"],
        name=message.get_attr("IFLA_IFNAME"),
        kind=kind,
        alias=message.get_attr("IFLA_IFALIAS") or "",
        master=message.get_attr("IFLA_MASTER") or 0,
        peer=0 if away else message.get_attr("IFLA_LINK") or 0,
        mac=message.get_attr("IFLA_ADDRESS") or "",
        mtu=message.get_attr("IFLA_MTU"),
        up=bool(message["flags"] & UP),
        ipv6=_ipv6(message),
        options=_options(info) if kind == "bridge" else (),
        opener=_opener(info) if kind == "tun" else None,
        carrier=bool(message.get_attr("IFLA_CARRIER")),
        away=away,
    )


def _opener(info: Any) -> tuple[int, int]:
    """Who may open a tap; the kernel shows none as nothing."""
    data = info.get_attr("IFLA_INFO_DATA")
    names = ("IFLA_TUN_OWNER", "IFLA_TUN_GROUP")
    found = [data.get_attr(name) if data else None for name in names]
    uid, gid = (NO_OPENER if each is None else each for each in found)
    return uid, gid


def _ipv6(message: Any) -> bool:
    families = message.get_attr("IFLA_AF_SPEC")
    inet6 = families.get_attr("AF_INET6") if families else None
    settings = inet6.get_attr("IFLA_INET6_CONF") if inet6 else None
    return settings is not None and not settings["disable_ipv6"]


def _options(info: Any) -> tuple[tuple[str, int], ...]:
    data = info.get_attr("IFLA_INFO_DATA")
    values = [(name, data.get_attr(name)) for name in OPTIONS]
    known = [(name, value) for name, value in values if value is not None]
    bits = data.get_attr("IFLA_BR_MULTI_BOOLOPT")
    if bits:
        known.append(
            ("IFLA_BR_MULTI_BOOLOPT", bits["optval"] & NO_LINKLOCAL_LEARN)
        )
    return tuple(known)


def _address(message: Any) -> Address:
    # Of a point-to-point link IFA_ADDRESS is the far end.
    ip = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    return Address(
        index=message["index"],
        value=f"{ip}/{message['prefixlen']}",
        is_global=message["scope"] == SCOPE_GLOBAL,
        ours=message.get_attr("IFA_PROTO") == ADDRESS_ORIGIN,
    )
