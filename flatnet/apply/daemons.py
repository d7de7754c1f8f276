"""The dnsmasq processes of ours, found in /proc and not in a file."""

import os
import re
import select
import signal
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from flatnet.exceptions import HostSetupError

# Milliseconds until a dnsmasq that does not end is killed, and then waited
# for.
_PATIENCE = 3000

# linux/capability.h
_NET_ADMIN = 12


@dataclass(frozen=True)
class Daemon:
    """A running dnsmasq and its whole command line."""

    pid: int
    arguments: tuple[str, ...]


def our_daemons(networks_path: str) -> dict[str, tuple[Daemon, ...]]:
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
                found[match[1]].append(Daemon(int(name), arguments))
    return {
        bridge: tuple(sorted(daemons, key=lambda each: each.pid))
        for bridge, daemons in found.items()
    }


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


def stopped(daemons: Iterable[Daemon]) -> None:
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


def _ended(daemon: Daemon, number: signal.Signals) -> bool:
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
