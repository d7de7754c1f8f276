"""Make the dnsmasqs of this host match the plan.

Goals, and how each is met:

* Guests keep their service when the daemon stops or is upgraded: dnsmasq is
  a process of its own, and one that runs with the wanted command line is
  adopted.  Identity is the command line in /proc, never a number in a file.
* A change costs one reload: files are replaced only where they differ, and
  dnsmasq gets one SIGHUP if any of what it re-reads was.
* An address that has a new holder is served at once: leases that the hosts
  file does not know are released, each by its MAC and address.
* Nothing foreign is touched: ours is a dnsmasq in this network namespace
  whose pid file is one of ours under networks_path.

Given up: a guest that asks within the few milliseconds between the SIGHUP
and dnsmasq's having read the file gets its answer at its next try.
"""

import os
import signal
from collections.abc import Iterable

from flatnet.apply import dnsmasq, files
from flatnet.apply.command import run
from flatnet.apply.daemons import Daemon, our_daemons, stopped
from flatnet.exceptions import HostSetupError
from flatnet.state import Changes, DhcpServer, Failure

_KINDS = ("hosts", "opts", "names", "pid", "leases")


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
    if servers:
        os.makedirs(networks_path, mode=0o755, exist_ok=True)
    running = our_daemons(networks_path)
    planned = {server.bridge for server in servers}
    made = _stop_strays(running, planned, networks_path)
    failures: list[Failure] = []
    for server in servers:
        if server.bridge in skip:
            continue
        try:
            made += _apply_server(
                server,
                running.get(server.bridge, ()),
                networks_path=networks_path,
                config_file=config_file,
            )
            if server.releases:
                made += _release_leases(server, networks_path)
        except (HostSetupError, OSError, ValueError) as error:
            failures.append(Failure(f"dhcp {server.bridge}", str(error), ()))
    return Changes(tuple(made), tuple(failures))


def _stop_strays(
    running: dict[str, tuple[Daemon, ...]],
    planned: set[str],
    networks_path: str,
) -> list[str]:
    """Stop what serves a bridge that has left the plan, with its files."""
    made = []
    for bridge in sorted(set(running) - planned):
        stopped(running[bridge])
        made.append(f"dnsmasq {bridge}: stopped")
    present = os.listdir(networks_path) if os.path.isdir(networks_path) else []
    for name in sorted(present):
        bridge, _, kind = name.removeprefix("flatnet-").rpartition(".")
        if not name.startswith("flatnet-") or kind not in _KINDS:
            continue
        if bridge not in planned and files.remove(f"{networks_path}/{name}"):
            made.append(f"{name}: removed")
    return made


def _apply_server(
    server: DhcpServer,
    running: tuple[Daemon, ...],
    *,
    networks_path: str,
    config_file: str,
) -> list[str]:
    wanted = dnsmasq.arguments(
        server, networks_path=networks_path, config_file=config_file
    )
    changed = _write_files(server, networks_path)
    made = [f"{name}: written" for name in changed]
    right = [each for each in running if each.arguments == wanted]
    wrong = [each for each in running if each not in right[:1]]
    if wrong:
        stopped(wrong)
        made.append(f"dnsmasq {server.bridge}: stopped one that differs")
    if not right:
        _start(wanted)
        made.append(f"dnsmasq {server.bridge}: started")
    elif changed:
        os.kill(right[0].pid, signal.SIGHUP)
        made.append(f"dnsmasq {server.bridge}: reloaded")
    return made


def _write_files(server: DhcpServer, networks_path: str) -> list[str]:
    """Write what differs; return the names of the files that did."""
    texts = {
        "hosts": dnsmasq.hosts_text(server),
        "opts": dnsmasq.options_text(server),
        "names": dnsmasq.names_text(server),
    }
    changed = []
    for kind, text in texts.items():
        path = dnsmasq.path(networks_path, server.bridge, kind)
        if files.replace(path, text):
            changed.append(os.path.basename(path))
    return changed


def _start(wanted: tuple[str, ...]) -> None:
    """Start a dnsmasq; it has bound its sockets when this returns.

    dnsmasq goes to the background only after that, and says on stderr what
    kept it from it.
    """
    done = run(*wanted)
    if done.status:
        raise HostSetupError(
            done.error or f"dnsmasq ended with status {done.status}"
        )


def _release_leases(server: DhcpServer, networks_path: str) -> list[str]:
    """Release each lease whose MAC and address nobody of ours has."""
    path = dnsmasq.path(networks_path, server.bridge, "leases")
    known = {(host.mac, host.address) for host in server.hosts}
    made = []
    for mac, address in _leases(files.read(path).splitlines()):
        if (mac, address) in known:
            continue
        done = run("dhcp_release", server.bridge, address, mac)
        if done.status:
            raise HostSetupError(
                f"the lease of {address} by {mac} was not released: "
                f"{done.error}"
            )
        made.append(f"dnsmasq {server.bridge}: released {address} of {mac}")
    return made


def _leases(lines: Iterable[str]) -> list[tuple[str, str]]:
    """MAC and address of each line: expiry, MAC, address, name, id."""
    fields = (line.split() for line in lines)
    return [(each[1], each[2]) for each in fields if len(each) == 5]
