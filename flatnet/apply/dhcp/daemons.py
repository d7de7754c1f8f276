"""The dnsmasq processes of ours, found in /proc and not in a file."""

import contextlib
import os
import re
import select
import signal
from collections import defaultdict
from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import lru_cache

from flatnet.apply import files
from flatnet.apply.cpu_budget import CpuBudget
from flatnet.apply.dhcp.taken_ports import TakenPorts
from flatnet.exceptions import HostSetupError

# Milliseconds until a dnsmasq that does not end is killed, and then waited
# for.
_PATIENCE = 3000

_LEASES = "--dhcp-leasefile"
_FILES = (
    *("--pid-file", "--dhcp-hostsfile", "--dhcp-optsfile", "--addn-hosts"),
    *("--conf-file", _LEASES),
)
_REMEMBERED = 1 << 8
_ONCE = select.EPOLLIN | select.EPOLLONESHOT
# linux/capability.h
_NET_ADMIN = 12


@dataclass(frozen=True)
class Dnsmasq:
    """A running dnsmasq and its whole command line."""

    pid: int
    arguments: tuple[str, ...]


class Running:
    """The dnsmasqs of ours that run, as long as all that were found do.

    Looking through /proc costs the more the more guests there are, each of
    which is a process.  So those that were found are held, and looked for
    again once one of them has ended, or somebody has changed them, and by
    whole passes.

    Given up: one more that somebody starts is found when that is.
    """

    def __init__(self) -> None:
        self._found: dict[str, tuple[Dnsmasq, ...]] | None = None
        # For whom those that do not run wait.
        self.taken = TakenPorts()
        self._handles: dict[Dnsmasq, int] = {}
        # Each that ends is told by it once, else it would be all the time.
        self._ends = select.epoll()
        self._budget = CpuBudget()

    @property
    def descriptor(self) -> int:
        """What becomes readable when one of those that are held ends."""
        return self._ends.fileno()

    def have_news(self) -> bool:
        """Whether one has ended since this was asked last."""
        return bool(self._ends.poll(0))

    def find(self, networks_path: str) -> dict[str, tuple[Dnsmasq, ...]]:
        """Return them by bridge; see `our_daemons`."""
        if self._found is None or self.ended():
            self.forget()
            with self._budget.taken():
                self._found = self._looked_for(networks_path)
        return self._found

    def _looked_for(
        self, networks_path: str
    ) -> dict[str, tuple[Dnsmasq, ...]]:
        found = our_daemons(networks_path)
        for daemon in (each for ours in found.values() for each in ours):
            with contextlib.suppress(ProcessLookupError):
                handle = os.pidfd_open(daemon.pid)
                self._handles[daemon] = handle
                self._ends.register(handle, _ONCE)
        # They are held now: who is still there is who was meant.
        return our_daemons(networks_path)

    def forget(self) -> None:
        """Have them looked for again the next time."""
        self._found = None
        for handle in self._handles.values():
            os.close(handle)
        self._handles = {}

    def doubt(self) -> None:
        """The same, where looking is due."""
        if self._budget.is_due:
            self.forget()

    def signal(
        self, daemons: Iterable[Dnsmasq], number: signal.Signals
    ) -> bool:
        """Send a signal to these; return whether all of them still ran."""
        sent = True
        for daemon in daemons:
            try:
                signal.pidfd_send_signal(self._handles[daemon], number)
            except (KeyError, ProcessLookupError):
                sent = False
        return sent

    def resumed(self) -> tuple[str, ...]:
        """Let those go on that somebody has stopped; return their bridges."""
        found = []
        for bridge, daemons in (self._found or {}).items():
            stopped = [d for d in daemons if status(d.pid)[:1] == ["T"]]
            if stopped and self.signal(stopped, signal.SIGCONT):
                found.append(bridge)
        return tuple(found)

    def lost(self) -> tuple[tuple[str, Dnsmasq], ...]:
        """The servers that run no more, each with its bridge.

        What one forked for a single question may have ended.
        """
        over = frozenset(self.ended())
        return tuple(
            (bridge, each)
            for bridge, daemons in (self._found or {}).items()
            for each in daemons
            if each in over and _is_head(each, over)
        )

    def files(self) -> dict[str, object]:
        """What tells whether somebody wrote their files, by path."""
        return {
            path: _identity(path, option)
            for daemons in (self._found or {}).values()
            for daemon in daemons
            for option, path in _files(daemon)
        }

    def ended(self) -> tuple[Dnsmasq, ...]:
        """Those of what was found that run no more."""
        poll = select.poll()
        for handle in self._handles.values():
            poll.register(handle, select.POLLIN)
        ready = {handle for handle, _ in poll.poll(0)}
        return tuple(
            d for d, handle in self._handles.items() if handle in ready
        )


def _is_head(daemon: Dnsmasq, ended: Container[Dnsmasq]) -> bool:
    """Whether a process that has ended was not just forked by another.

    The file that names the other is gone where that was told to end.
    """
    (path,) = (p for option, p in _files(daemon) if option == "--pid-file")
    # It is dnsmasq's own, who may have written anything.
    with contextlib.suppress(OSError):
        pid = files.read(path).strip()
        if pid.isdecimal() and pid != str(daemon.pid):
            return Dnsmasq(int(pid), daemon.arguments) in ended
    return True


@lru_cache(_REMEMBERED)
def _files(daemon: Dnsmasq) -> tuple[tuple[str, str], ...]:
    """Return (option, path) of the files that a server was started with."""
    given = (each.partition("=") for each in daemon.arguments)
    return tuple(
        (option, path)
        for option, _, path in given
        if option in _FILES and path != os.devnull
    )


def _identity(path: str, option: str) -> object:
    """What is another once somebody else wrote a file, or removed it.

    Leases are written by the server itself, in place.
    """
    found = files.stamp(path)
    return found[:1] if found and option == _LEASES else found


def our_daemons(networks_path: str) -> dict[str, tuple[Dnsmasq, ...]]:
    """The dnsmasqs of ours in this network namespace, by bridge.

    Ours is one whose pid file is one of ours, and which kept the privilege
    that we started it with: anybody can call a process what he likes.  The
    lowest pid comes first.
    """
    pattern = re.compile(
        re.escape(f"--pid-file={networks_path}/flatnet-") + r"(.+)\.pid"
    )
    here = os.stat("/proc/self/ns/net").st_ino
    found = defaultdict(list)
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        arguments = _arguments(name)
        if not arguments or os.path.basename(arguments[0]) != "dnsmasq":
            continue
        for argument in arguments:
            match = pattern.fullmatch(argument)
            if match and _namespace(name) == here and _is_privileged(name):
                found[match[1]].append(Dnsmasq(int(name), arguments))
    return {
        bridge: tuple(sorted(daemons, key=lambda each: each.pid))
        for bridge, daemons in found.items()
    }


def status(pid: int) -> list[str]:
    """Return the state and the parent of a process, and what else the kernel
    tells after its name; nothing if it has ended.
    """
    try:
        text = files.read(f"/proc/{pid}/stat")
    except ProcessLookupError:
        return []
    # The name, in brackets, may hold anything.
    return text.rpartition(")")[2].split()


def _is_privileged(pid: str) -> bool:
    """Whether a process may change this host's network.

    In a user namespace of its own anybody has every capability.
    """
    try:
        own = os.stat("/proc/self/ns/user").st_ino
        if os.stat(f"/proc/{pid}/ns/user").st_ino != own:
            return False
        with open(f"/proc/{pid}/status", encoding="ascii") as stream:
            lines = dict(line.split(":", 1) for line in stream)
        return bool(int(lines["CapPrm"], 16) >> _NET_ADMIN & 1)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def stopped(daemons: Iterable[Dnsmasq]) -> None:
    """End these processes and wait until they are gone.

    :raises HostSetupError: one stays, even killed
    """
    for daemon in daemons:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if _ended(daemon, number):
                break
        else:
            raise HostSetupError(
                f"dnsmasq with pid {daemon.pid} cannot be stopped"
            )


def _ended(daemon: Dnsmasq, number: signal.Signals) -> bool:
    try:
        handle = os.pidfd_open(daemon.pid)
    except ProcessLookupError:
        return True
    try:
        # The pid is held now: if it still is who we mean, it stays so.
        if _arguments(str(daemon.pid)) != daemon.arguments:
            return True
        signal.pidfd_send_signal(handle, number)
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(_PATIENCE))
    except ProcessLookupError:
        return True
    finally:
        os.close(handle)


def _arguments(pid: str) -> tuple[str, ...]:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            raw = stream.read()
    except (FileNotFoundError, ProcessLookupError):
        return ()
    return tuple(raw.decode(errors="replace").split("\0")[:-1])


def _namespace(pid: str) -> int:
    """The inode of a process's network namespace, or 0 if it is gone."""
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
