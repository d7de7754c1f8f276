"""Uplinks: what there is, and those that somebody renamed get a name back.

Plan, rules and guard know an uplink by its name.  One that bears another on a
bridge of ours is closed there, as what nobody planned, and the host has lost
its segment.  Which device it was is known for as long as the process lives.
"""

import contextlib
import errno
import logging
from collections.abc import Iterable

from pyroute2.netlink.exceptions import NetlinkError

from flatnet.apply.link.device_reads import Reads
from flatnet.apply.link.link import Link, read_link
from flatnet.apply.link.links import ERRORS, LinkPass, link_pass, reason
from flatnet.state.plan import Plan, Uplink

LOG = logging.getLogger("flatnet.applier")


def read_uplinks(names: tuple[str, ...]) -> tuple[Uplink, ...]:
    """Return what the kernel says of these devices; missing ones are out."""
    found = []
    for name in names:
        with contextlib.suppress(OSError):
            found.append(Uplink(name=name, mtu=read_link(name).mtu))
    return tuple(found)


class Uplinks:
    """The uplinks of the last plan, as they were found; one process's."""

    def __init__(self) -> None:
        # The indexes of devices and of their bridges, by name.
        self._found: dict[str, tuple[int, int]] = {}

    def note(self, plan: Plan, devices: Reads) -> None:
        """Note which devices are uplinks, on their bridges."""
        wanted = {b.uplink: b.name for b in plan.bridges if b.uplink}
        there = devices.named() if wanted else {}
        for name, bridge in wanted.items():
            link, master = there.get(name), there.get(bridge)
            if link and master and link.master == master.index:
                self._found[name] = link.index, master.index
        for name in self._found.keys() - wanted.keys():
            del self._found[name]

    def restore(self, names: Iterable[str], devices: Reads) -> None:
        """Give their names back to those that are on their bridges still."""
        there = devices.named()
        missing = [
            name for name in names if name in self._found and name not in there
        ]
        if not missing:
            return
        with contextlib.suppress(*ERRORS), link_pass(devices) as found:
            for name in missing:
                index, master = self._found[name]
                link = found.by_index(index)
                if link and link.master == master:
                    _rename(found, link, name)


def _rename(found: LinkPass, link: Link, name: str) -> None:
    """Rename a device, which keeps its being up or down."""
    try:
        try:
            found.rename(link, name)
        except NetlinkError as error:
            # Linux before 6.2 renames none that is up.
            if error.code != errno.EBUSY:
                raise
            down = found.write(link, state="down")
            found.write(found.rename(down, name), state="up")
    except ERRORS as error:
        LOG.error("uplink %s, named %s: %s", name, link.name, reason(error))
    else:
        LOG.warning("uplink %s: its name, which was %s", name, link.name)
