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
* A full disk costs what has just changed, and nobody else: a server that
  died is started again with the files that are there.
* The admin's own file is checked before a server depends on it, see
  `flatnet.apply.dhcp.config`.
* No guest can delay a pass: what dnsmasq forks for each DNS query by TCP
  looks like dnsmasq itself and does not end on SIGTERM.

Given up: a guest that asks within the few milliseconds between the SIGHUP
and dnsmasq's having read the file gets its answer at its next try.
"""

import os
import signal
import socket
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from flatnet.apply import files
from flatnet.apply.dhcp import config as dnsmasq_config
from flatnet.apply.dhcp import dnsmasq, dnsmasq_files
from flatnet.apply.dhcp.daemons import Dnsmasq, Running, status, stopped
from flatnet.apply.dhcp.elsewhere import Elsewhere
from flatnet.apply.dhcp.leases import Leases
from flatnet.apply.dhcp.sockets import dhcp_devices
from flatnet.apply.dhcp.starting import start
from flatnet.apply.dhcp.texts import Texts
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import Changes, Failure, joined
from flatnet.state.effects import Effect, Subject, Surface, Verb
from flatnet.state.plan import DhcpServer


def apply_dhcp(
    servers: tuple[DhcpServer, ...],
    known: Running,
    texts: Texts,
    leases: Leases,
    elsewhere: Elsewhere,
    *,
    networks_path: str,
    config_file: str,
    skip: frozenset[str],
) -> Changes:
    """Run just these servers; `skip` names bridges that are not ready.

    :param known: processes, and the next three their files, found before
    """
    known.taken.clear()
    running, wanted = known.find(networks_path), {s.bridge: s for s in servers}
    parts, used = list(_resumed(known)), dict[str, str]()
    for bridge in sorted({*running, *wanted} - (skip & set(wanted))):
        present, server = running.get(bridge, ()), wanted.get(bridge)
        try:
            if server is None:
                parts.append(_stopped(bridge, present, known, texts))
                continue
            parts += _written(server, texts, elsewhere, networks_path)
            served = _served(
                *(server, present, known),
                networks_path=networks_path,
                config_file=config_file,
            )
            parts.append(served.changes)
            used[bridge] = os.path.basename(served.config)
            parts += _released(server, leases, networks_path)
        except (HostSetupError, OSError, ValueError) as error:
            parts.append(_failed(bridge, str(error)))
    parts += _lost(used, known.find(networks_path))
    removed = dnsmasq_files.remove_files(set(wanted), used, networks_path)
    done = joined(*parts, removed)
    elsewhere.note(servers, done.reloaded, networks_path)
    return done


def _written(
    server: DhcpServer, texts: Texts, elsewhere: Elsewhere, networks_path: str
) -> Iterator[Changes]:
    yield dnsmasq_files.written(server, texts, networks_path)
    yield elsewhere.written(server, networks_path)


def _released(
    server: DhcpServer, leases: Leases, networks_path: str
) -> Iterator[Changes]:
    if server.releases:
        yield Changes(leases.release(server, networks_path))


def _resumed(known: Running) -> Iterator[Changes]:
    """Let go on what somebody stopped, before it is to read anything."""
    for bridge in known.resumed():
        yield Changes((_done(Verb.RESUMED, bridge, "a stopped dnsmasq"),))


def _lost(used: Iterable[str], running: Container[str]) -> Iterator[Changes]:
    """The bridges whose server is not there once all were seen to.

    Those that are, are held from now on.
    """
    for bridge in used:
        if bridge not in running:
            yield _failed(bridge, "dnsmasq has ended; it is started again")


def _done(verb: Verb, bridge: str, detail: str = "") -> Effect:
    return Effect(Surface.DHCP, verb, bridge, detail)


def _failed(bridge: str, text: str) -> Changes:
    return Changes(failures=(Failure(Subject(Surface.DHCP, bridge), text),))


def ask_to_reload(bridge: str, networks_path: str) -> None:
    """Have the next pass make the server of a bridge read its files again.

    One that does not run will do so when it starts.
    """
    if os.path.exists(dnsmasq.path(networks_path, bridge, "pid")):
        files.mark(dnsmasq.path(networks_path, bridge, "reload"))


@dataclass(frozen=True)
class _Served:
    """What it took to have a server run, and which file it was given."""

    changes: Changes
    config: str = ""


def _served(
    server: DhcpServer,
    running: tuple[Dnsmasq, ...],
    known: Running,
    *,
    networks_path: str,
    config_file: str,
) -> _Served:
    """Have it run with the admin's file, or with the last that was sound."""
    serving = _serving(server, running, networks_path)
    before = _earlier(server, serving, networks_path)
    apply = partial(
        _apply_server, server, known=known, networks_path=networks_path
    )
    try:
        config = dnsmasq_config.copy(
            server, networks_path=networks_path, config_file=config_file
        )
    except HostSetupError as error:
        if not before:
            raise
        made = apply(running, serving, config_file=before)
        return _Served(_changes(server, made, str(error)), before)
    try:
        made = apply(running, serving, config_file=config)
    except HostSetupError as error:
        if not config or before in ("", config):
            raise
        made = apply((), None, config_file=before)
        told = dnsmasq_config.refuse(
            server,
            networks_path=networks_path,
            config_file=config_file,
            reason=str(error),
        )
        return _Served(_changes(server, made, told), before)
    return _Served(_changes(server, made), config)


def _earlier(
    server: DhcpServer, serving: Dnsmasq | None, networks_path: str
) -> str:
    """The copy of the admin's file that serves now, or served last."""
    return dnsmasq_config.earlier(
        server,
        networks_path=networks_path,
        running=serving.arguments if serving else (),
    )


def _apply_server(
    server: DhcpServer,
    running: tuple[Dnsmasq, ...],
    serving: Dnsmasq | None,
    *,
    known: Running,
    networks_path: str,
    config_file: str,
) -> tuple[Effect, ...]:
    """Have it run and know its files; return what that took."""
    arguments = dnsmasq.arguments(
        server, networks_path=networks_path, config_file=config_file
    )
    mark = dnsmasq.path(networks_path, server.bridge, "reload")
    leases = dnsmasq.path(networks_path, server.bridge, "leases")
    # Without the file it would write to one that nobody can read.
    has_leases = os.path.exists(leases)
    if serving and serving.arguments == arguments and has_leases:
        if not os.path.exists(mark):
            return ()
        if known.signal((serving,), signal.SIGHUP):
            files.remove(mark)
            return (_done(Verb.RELOADED, server.bridge),)
    made = []
    if running:
        _stop(running, known)
        made.append(_done(Verb.STOPPED, server.bridge, "one that differs"))
    start(server, arguments, known.taken)
    known.forget()
    files.remove(mark)
    return (*made, _done(Verb.STARTED, server.bridge))


def _changes(
    server: DhcpServer, made: tuple[Effect, ...], *faults: str
) -> Changes:
    """What a server took; it has read its files if it took anything."""
    return Changes(
        made,
        warnings=tuple(
            f"dnsmasq {server.bridge}: {fault}; what it was given before "
            "stays in force"
            for fault in faults
        ),
        reloaded=(server.bridge,) * bool(made),
    )


def _serving(
    server: DhcpServer, running: tuple[Dnsmasq, ...], networks_path: str
) -> Dnsmasq | None:
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
    found = status(pid)
    return int(found[1]) if found else None


def _stop(daemons: tuple[Dnsmasq, ...], known: Running) -> None:
    """Stop these, and what they forked.

    Only SIGALRM ends what dnsmasq forks; for itself that is a clock.
    """
    known.signal(daemons, signal.SIGALRM)
    known.forget()
    stopped(daemons)


def _stopped(
    bridge: str, daemons: tuple[Dnsmasq, ...], known: Running, texts: Texts
) -> Changes:
    """Stop those of a bridge that is served no more."""
    _stop(daemons, known)
    texts.forget(bridge)
    return Changes((_done(Verb.STOPPED, bridge),))
