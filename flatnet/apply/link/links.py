"""The links and addresses of this host, and one way to change them.

`LinkPass` is one netlink connection with all links and addresses.  It rereads
a link only when it wrote it (see `device_view`).
"""

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink import nla
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from flatnet.apply.files import read_setting, write_setting
from flatnet.apply.link.blocked_ports import unblock
from flatnet.apply.link.device_reads import DUMP, Reads
from flatnet.apply.link.device_view import DeviceView
from flatnet.apply.link.link import Address, Link, lets_pass
from flatnet.apply.link.removal import remove, remove_group
from flatnet.apply.link.set_link import set_link
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import Failure, network_key
from flatnet.state.effects import Effect, Subject, Surface
from flatnet.state.plan import Bridge
from flatnet.state.taken_addresses import Taken

ERRORS = (NetlinkError, OSError, HostSetupError)
# Numbers that nobody gives to a group of his own.
_GROUPS = 1 << 31


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
class LinkPass:
    """One pass over this host's links: what is there, and what was done.

    It ends with the pass, and none of it is replaced: devices are put into
    `links` as they are reread, and what was done, failed or was met is
    appended, in its order.
    """

    netlink: IPRoute
    devices: Reads
    links: DeviceView
    addresses: tuple[Address, ...]
    made: list[Effect] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    # The ids of those who may open taps, by the names of user and group.
    openers: dict[tuple[str | None, str | None], tuple[int, int]] = field(
        default_factory=dict
    )

    def by_index(self, index: int) -> Link | None:
        """The link of that index."""
        return self.links.at(index)

    def slaves(self, index: int) -> list[Link]:
        """The ports of the bridge of that index."""
        return self.links.on(index)

    def reread(self, name: str) -> Link:
        """Ask the kernel for a link again.

        :raises OSError: it does not exist
        """
        link = self.devices.reread(name)
        self.links[name] = link
        return link

    def write(self, link: Link, **attributes: Any) -> Link:
        """Set attributes of a link in one message; return it reread."""
        self.change(link, **attributes)
        return self.reread(link.name)

    def change(self, link: Link, **attributes: Any) -> None:
        """The same for who goes on, and has it reread after that."""
        set_link(link.index, **attributes)

    def rename(self, link: Link, name: str) -> Link:
        """Give another name to a link that is down; return it reread."""
        set_link(link.index, ifname=name)
        del self.links[link.name]
        return self.reread(name)

    def set_option(self, bridge: Link, name: str, value: Any) -> Link:
        """Set an option of a bridge, by netlink's name; return it reread."""
        options = {"kind": "bridge", name: value}
        self.netlink.link("set", index=bridge.index, **options)
        return self.reread(bridge.name)

    def unblock(self, link: Link) -> bool:
        """Have a port's bridge keep nothing from it; whether it did."""
        if not link.blocked or not lets_pass(self.by_index(link.master)):
            return False
        # It may have been down until just now.
        link = self.reread(link.name)
        if link.blocked:
            unblock(link.index, carrier=link.carrier)
            self.reread(link.name)
        return link.blocked

    def pin_mac(self, bridge: Link) -> None:
        """Keep the MAC of a foreign bridge that is about to get a port.

        Setting the MAC that it has makes Linux stop choosing one.  Ours
        have theirs set from the beginning.
        """
        if not bridge.ours:
            set_link(bridge.index, address=bridge.mac)

    def delete(self, link: Link) -> None:
        """Remove a device, and a veth's other end with it."""
        remove(link.index, self.devices)
        self._forget([link])

    def delete_all(self, links: Sequence[Link]) -> dict[str, Exception]:
        """Remove devices; return the errors of those that stay, by name.

        One by one each would wait for all processors to let go of it.  So
        they come into a group that nobody else has, and go with it.
        """
        left = list(links)
        if len(left) > 1:
            left = self._deleted_together(left)
        failed: dict[str, Exception] = {}
        for link in left:
            try:
                remove(link.index, self.devices)
            except ERRORS as error:
                failed[link.name] = error
        self._forget(each for each in links if each.name not in failed)
        return failed

    def _deleted_together(self, links: list[Link]) -> list[Link]:
        """Remove devices as a group; return those that stay."""
        group = _GROUPS + secrets.randbelow(_GROUPS)
        left = []
        for link in links:
            try:
                set_link(link.index, group=group)
            except ERRORS:
                left.append(link)
        try:
            indexes = frozenset(each.index for each in links) - {
                each.index for each in left
            }
            remove_group(group, indexes, self.devices)
        except ERRORS:
            return links
        return left

    def _forget(self, links: Iterable[Link]) -> None:
        gone = {i for each in links for i in (each.index, each.peer) if i}
        self.links.forget(gone)

    def fail(
        self,
        subject: Subject,
        error: Exception,
        instances: tuple[str, ...] = (),
    ) -> None:
        """Note that a part of the plan could not be applied, in one line."""
        self.failures.append(Failure(subject, reason(error), instances))

    def fail_bridge(self, bridge: Bridge, error: Exception) -> None:
        """Note that a bridge is not as planned, which its network lacks."""
        self.failures.append(
            Failure(
                Subject(Surface.BRIDGE, bridge.name),
                reason(error),
                bridge.instances,
                network_key(bridge.network),
            )
        )


@contextlib.contextmanager
def link_pass(devices: Reads = DUMP) -> Iterator[LinkPass]:
    """Connect to the kernel of the current namespace and read it.

    :param devices: who knows what there is
    """
    with devices.connection(connected) as netlink:
        yield LinkPass(
            netlink=netlink,
            devices=devices,
            links=DeviceView(devices.device_index()),
            addresses=devices.addresses(),
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
        write_setting(directory / name, value)
        actual = read_setting(directory / name)
        if actual != value:
            raise HostSetupError(
                f"{value} was written to net.ipv6.conf.{link.name}.{name}, "
                f"but it reads {actual}"
            )
