"""Names of guests of other hosts: a directory of files for each server.

Goals, and how each is met:

* Who comes or goes anywhere in the cloud costs one small file here: each has a
  part of the network's range.
* A host with a busy cloud around it serves on: dnsmasq reads all names again
  at a SIGHUP, of which twenty thousand take 45 ms.  So a name that comes or
  goes elsewhere waits, where there are many, until that is a sixtieth of the
  time at most; one of the host's own is told at once, and takes the others
  along.
* A crash loses nothing: a mark stands from before the first file until after
  the SIGHUP.

dnsmasq can also be told of a directory that it watches.  For each name that it
reads then it goes through all that it knows: with twenty thousand a file of
256 takes 145 ms, three times as long as to read all of them at once.

Given up: files that are written in place by somebody else are seen by the
first pass of a process, and later by their stamps.
"""

import os
import stat
import time
from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from flatnet.apply import files
from flatnet.apply.dhcp import dnsmasq
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import Changes, Failure
from flatnet.state.effects import Effect, Subject, Surface, Verb
from flatnet.state.plan import DhcpServer, NamesSlice

KIND = "elsewhere"
# That dnsmasq is to read them again.
MARK = "renamed"
_MODE = 0o755
# Seconds until dnsmasq reads them again, for each name.
_REST = 60 * 2.5e-6
# Seconds until a server that did not read them is asked again.
_AGAIN = 60.0


@dataclass
class _Bridge:
    """What one server was given: files with their stamps, by name."""

    known: dict[str, tuple[NamesSlice, object]] = field(default_factory=dict)
    is_pending: bool = False
    due: float = 0.0


class Elsewhere:
    """Writes names of guests of other hosts, and knows when they are due."""

    def __init__(self, rest: float = _REST) -> None:
        """`rest` are the seconds for each name between two readings."""
        self._rest = rest
        self._bridges: dict[str, _Bridge] = {}

    @property
    def is_overdue(self) -> bool:
        """Whether some are written that their server may read by now."""
        now = time.monotonic()
        return any(
            each.is_pending and now >= each.due
            for each in self._bridges.values()
        )

    def note(
        self,
        servers: Iterable[DhcpServer],
        reloaded: Container[str],
        networks_path: str,
    ) -> None:
        """Note which servers there are, and the bridges of those that have
        read their files.
        """
        self._bridges = {
            each.bridge: self._of(each.bridge) for each in servers
        }
        for server in servers:
            if server.bridge in reloaded:
                files.remove(dnsmasq.path(networks_path, server.bridge, MARK))
                mine = self._bridges[server.bridge]
                mine.is_pending = False
                count = sum(len(each.names) for each in server.elsewhere)
                mine.due = time.monotonic() + count * self._rest

    def written(self, server: DhcpServer, networks_path: str) -> Changes:
        """Write what differs, as far as there is room.

        The server is marked as one that is to read its files, once it may.
        """
        directory, mark, reload = (
            dnsmasq.path(networks_path, server.bridge, kind)
            for kind in (KIND, MARK, "reload")
        )
        mine = self._of(server.bridge)
        try:
            made = self._written(server, directory, mark)
            mine.is_pending = os.path.lexists(mark)
            if mine.is_pending and time.monotonic() >= mine.due:
                # Who cannot read them now is asked again by and by.
                mine.due = time.monotonic() + _AGAIN
                files.mark(reload)
        except (OSError, HostSetupError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            text = f"names of other hosts' guests cannot be written: {reason}"
            subject = Subject(Surface.DHCP, server.bridge)
            return Changes(failures=(Failure(subject, text),))
        if not made:
            return Changes()
        name = os.path.basename(directory)
        return Changes((Effect(Surface.FILE, Verb.WRITTEN, name),))

    def _of(self, bridge: str) -> _Bridge:
        return self._bridges.setdefault(bridge, _Bridge())

    def _written(self, server: DhcpServer, directory: str, mark: str) -> bool:
        """Write what differs; return whether anything did."""
        _make(directory)
        known, now = self._of(server.bridge).known, {}
        changed = []
        for each in server.elsewhere:
            name = str(each.number)
            path = f"{directory}/{name}"
            there = files.stamp(path)
            if known.get(name) == (each, there) and there is not None:
                now[name] = known[name]
                continue
            text = dnsmasq.elsewhere_text(each, server)
            if files.holds(path, text):
                now[name] = each, there
            else:
                changed.append((name, each, text))
        stale = set(os.listdir(directory)) - now.keys()
        stale.difference_update(name for name, _, _ in changed)
        if changed or stale:
            files.mark(mark)
        for name in stale:
            files.remove(f"{directory}/{name}")
        for name, each, text in changed:
            files.replace(f"{directory}/{name}", text)
            now[name] = each, files.stamp(f"{directory}/{name}")
        self._of(server.bridge).known = now
        return bool(changed or stale)


def _make(directory: str) -> None:
    """Have a directory there that dnsmasq can read; a link is none."""
    try:
        mode = os.lstat(directory).st_mode
    except FileNotFoundError:
        mode = 0
    if mode and not stat.S_ISDIR(mode):
        os.unlink(directory)
    if not stat.S_ISDIR(mode):
        os.mkdir(directory)
    if stat.S_IMODE(mode) != _MODE:
        os.chmod(directory, _MODE)


def remove(directory: str) -> None:
    """Remove all names of a bridge that is served no more."""
    for name in os.listdir(directory):
        files.remove(f"{directory}/{name}")
    os.rmdir(directory)
