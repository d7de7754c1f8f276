"""Make the dnsmasqs of this host match the plan.

Goals, and how each is met:

* Guests keep their service when the daemon stops or is upgraded: dnsmasq is
  a process of its own, and one that runs with the wanted command line is
  adopted.  A number in the pid file counts only for a process that /proc
  shows to be ours, and only while it listens on the bridge that is there
  now: one that outlived its bridge hears nobody.
* A change costs one reload: files are replaced only where they differ, and
  dnsmasq gets one SIGHUP if any of what it re-reads was.  A mark stands from
  before the first file until after the SIGHUP, so that a crash in between
  costs a reload and never loses one.
* An address that has a new holder is served at once: leases that the hosts
  file does not know are released, each by its MAC and address.
* Nothing foreign is touched: ours is a dnsmasq in this network namespace
  whose pid file is one of ours under networks_path.
* No guest can delay a pass: what dnsmasq forks for each DNS query by TCP
  looks like dnsmasq itself and does not end on SIGTERM.

Given up: a guest that asks within the few milliseconds between the SIGHUP
and dnsmasq's having read the file gets its answer at its next try.
"""

import contextlib
import ipaddress
import os
import signal
import socket
import time

from flatnet.apply import dnsmasq, files
from flatnet.apply.command import run
from flatnet.apply.daemons import Daemon, our_daemons, stopped
from flatnet.apply.sockets import dhcp_devices
from flatnet.exceptions import HostSetupError
from flatnet.state import Changes, DhcpServer, Failure

_TEXTS = {
    "hosts": dnsmasq.hosts_text,
    "opts": dnsmasq.options_text,
    "names": dnsmasq.names_text,
}
_KINDS = (*_TEXTS, "pid", "leases", "reload")
# dnsmasq's exit status, among others, if its address is in use.
_ADDRESS_TAKEN = 2
# Seconds that dnsmasq has to release a lease, or to let go of its sockets.
_PATIENCE = 0.5


def apply_dhcp(
    servers: tuple[DhcpServer, ...],
    *,
    networks_path: str,
    config_file: str,
    skip: frozenset[str],
) -> Changes:
    """Run just these servers; `skip` names bridges that are not ready.

    :param config_file: a further file for dnsmasq, or empty
    """
    running = our_daemons(networks_path)
    wanted = {server.bridge: server for server in servers}
    made: list[str] = []
    failures: list[Failure] = []
    reloaded: list[str] = []
    for bridge in sorted({*running, *wanted} - (skip & set(wanted))):
        present = running.get(bridge, ())
        server = wanted.get(bridge)
        try:
            if server is None:
                _stop(present, networks_path)
                made.append(f"dnsmasq {bridge}: stopped")
                continue
            made += _write_files(server, networks_path)
            effects = _apply_server(
                server,
                present,
                networks_path=networks_path,
                config_file=config_file,
            )
            if effects:
                reloaded.append(bridge)
            made += effects
            if server.releases:
                made += _release_leases(server, networks_path)
        except (HostSetupError, OSError, ValueError) as error:
            failures.append(Failure(f"dhcp {bridge}", str(error), ()))
    made += _remove_files(set(wanted), networks_path)
    return Changes(tuple(made), tuple(failures), reloaded=tuple(reloaded))


def ask_to_reload(bridge: str, networks_path: str) -> None:
    """Have the next pass make the server of a bridge read its files again.

    One that does not run will do so when it starts.
    """
    if os.path.exists(dnsmasq.path(networks_path, bridge, "pid")):
        files.replace(dnsmasq.path(networks_path, bridge, "reload"), "")


def _remove_files(planned: set[str], networks_path: str) -> list[str]:
    """Remove the files of bridges that have left the plan.

    What a crash left of a file that was being written goes too.
    """
    made = []
    present = os.listdir(networks_path) if os.path.isdir(networks_path) else []
    for name in sorted(present):
        bridge, _, kind = name.removeprefix("flatnet-").rpartition(".")
        ours = name.startswith("flatnet-") and kind in _KINDS
        stale = ours and bridge not in planned
        if stale or name.startswith(".flatnet-"):
            files.remove(f"{networks_path}/{name}")
            made.append(f"{name}: removed")
    return made


def _apply_server(
    server: DhcpServer,
    running: tuple[Daemon, ...],
    *,
    networks_path: str,
    config_file: str,
) -> list[str]:
    """Have it run and know its files; return a line for what that took."""
    arguments = dnsmasq.arguments(
        server, networks_path=networks_path, config_file=config_file
    )
    mark = dnsmasq.path(networks_path, server.bridge, "reload")
    serving = _serving(server, running, networks_path)
    if serving and serving.arguments == arguments:
        if not os.path.exists(mark):
            return []
        if _signalled((serving,), signal.SIGHUP, networks_path):
            files.remove(mark)
            return [f"dnsmasq {server.bridge}: reloaded"]
    made = []
    if running:
        _stop(running, networks_path)
        made.append(f"dnsmasq {server.bridge}: stopped one that differs")
    _start(arguments)
    files.remove(mark)
    return [*made, f"dnsmasq {server.bridge}: started"]


def _write_files(server: DhcpServer, networks_path: str) -> list[str]:
    """Write what differs; return a line for each."""
    files.make_readable_directory(networks_path)
    texts = {
        dnsmasq.path(networks_path, server.bridge, kind): text(server)
        for kind, text in _TEXTS.items()
    }
    changed = [path for path in texts if not files.holds(path, texts[path])]
    if changed:
        mark = dnsmasq.path(networks_path, server.bridge, "reload")
        files.replace(mark, "")
    for path in changed:
        files.replace(path, texts[path])
    return [f"{os.path.basename(path)}: written" for path in changed]


def _serving(
    server: DhcpServer, running: tuple[Daemon, ...], networks_path: str
) -> Daemon | None:
    """Return the dnsmasq that serves this bridge alone, if one does.

    Those that it forked do not count, and left over without it they are not
    taken for it, though they hold its sockets: the pid file names another.
    """
    try:
        device = socket.if_nametoindex(server.bridge)
    except OSError as error:
        raise HostSetupError(f"there is no bridge {server.bridge}") from error
    parents = {each: _parent(each.pid) for each in running}
    forked = {None, *(each.pid for each in running)}
    heads = [each for each in running if parents[each] not in forked]
    path = dnsmasq.path(networks_path, server.bridge, "pid")
    recorded = files.read(path).strip()
    if [str(each.pid) for each in heads] != [recorded]:
        return None
    return heads[0] if {0, device} & dhcp_devices() else None


def _parent(pid: int) -> int | None:
    """The parent of a process, or none if it has ended."""
    try:
        text = files.read(f"/proc/{pid}/stat")
    except ProcessLookupError:
        return None
    # The name, in brackets, may hold anything.
    return int(text.rpartition(")")[2].split()[1]) if text else None


def _stop(daemons: tuple[Daemon, ...], networks_path: str) -> None:
    """Stop these, and what they forked.

    Only SIGALRM ends what dnsmasq forks; for itself that is a clock.
    """
    _signalled(daemons, signal.SIGALRM, networks_path)
    stopped(daemons)


def _signalled(
    daemons: tuple[Daemon, ...], number: signal.Signals, networks_path: str
) -> bool:
    """Send a signal to these processes; return whether all still ran.

    Each is held before it is looked at again, so that a pid that became
    another's meanwhile costs that one nothing.
    """
    with contextlib.ExitStack() as stack:
        handles = {}
        for daemon in daemons:
            with contextlib.suppress(ProcessLookupError):
                handles[daemon] = os.pidfd_open(daemon.pid)
                stack.callback(os.close, handles[daemon])
        alive = {
            daemon
            for ours in our_daemons(networks_path).values()
            for daemon in ours
        }
        sent = 0
        for daemon in alive & set(handles):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handles[daemon], number)
                sent += 1
        return sent == len(daemons)


def _start(arguments: tuple[str, ...]) -> None:
    """Start a dnsmasq; it has bound its sockets when this returns.

    dnsmasq goes to the background only after that, and says on stderr what
    kept it from it.  One that is ending has no command line any more, so
    that nobody finds it, but for a moment still its sockets.
    """
    deadline = time.monotonic() + _PATIENCE
    done = run(*arguments)
    while done.status == _ADDRESS_TAKEN and time.monotonic() < deadline:
        time.sleep(0.02)
        done = run(*arguments)
    if done.status:
        raise HostSetupError(
            done.error or f"dnsmasq ended with status {done.status}"
        )


def _release_leases(server: DhcpServer, networks_path: str) -> list[str]:
    """Release each lease whose MAC and address nobody of ours has.

    dnsmasq does so when it gets round to it, which is waited for.
    """
    path = dnsmasq.path(networks_path, server.bridge, "leases")
    made = []
    for mac, address in _stale_leases(server, path):
        done = run("dhcp_release", server.bridge, address, mac)
        if done.status:
            raise HostSetupError(
                f"the lease of {address} by {mac} was not released: "
                f"{done.error}"
            )
        made.append(f"dnsmasq {server.bridge}: released {address} of {mac}")
    deadline = time.monotonic() + _PATIENCE
    while made and _stale_leases(server, path) and time.monotonic() < deadline:
        time.sleep(0.005)
    return made


def _stale_leases(server: DhcpServer, path: str) -> list[tuple[str, str]]:
    """MAC and address of the leases that none of `hosts` has.

    dnsmasq keeps leases of a range that it no longer serves, and releases
    none of them.
    """
    network = ipaddress.IPv4Network(server.cidr)
    known = {(host.mac, host.address) for host in server.hosts}
    leases = dnsmasq.leases(files.read(path))
    return [
        (mac, address)
        for mac, address in leases
        if (mac, address) not in known
        and ipaddress.IPv4Address(address) in network
    ]
