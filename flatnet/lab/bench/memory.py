"""The memory of the daemon's processes; what they share counts once."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

from flatnet.lab.bench import cpu, interpreters, roles
from flatnet.lab.bench.figure import FLOOR, Figure, Goal, Measured
from flatnet.lab.bench.interpreters import READY
from flatnet.lab.bench.site import Site
from flatnet.lab.server_process import LabProcess

# The daemon, with what it imports once it knows its broker and database, and
# its two privileged processes, which are one program.
_PROGRAMS = (
    "flatnet.cmd.manager, flatnet.cmd.daemon, flatnet.db.mysql, pymysql, "
    "kombu.transport.pyamqp, eventlet.green.threading, "
    "eventlet.green.subprocess",
    "flatnet.apply.process",
)
_GOALS = (Goal(1, FLOOR, more=40),)
_TIMES = 8
_POLL_SECONDS = 0.02


def at_rest(site: Site) -> Measured:
    """MB while nothing happens."""
    return Measured(cpu.memory_mb(site.daemon_pids()), _floor(site))


def with_server(site: Site) -> Measured:
    """The same with the DHCP server of the host.

    The floor has one that knows nobody.
    """
    pids = [*site.daemon_pids(), *site.processes()[roles.DNSMASQ]]
    return Measured(cpu.memory_mb(pids), _floor(site) + _least_server(site))


def in_flight(site: Site) -> Measured:
    """The most MB while many calls wait for their answers.

    They allocate for instances that are there, of whom there are more than
    of those who find a place.
    """
    wanted = list(
        itertools.islice(
            itertools.cycle(site.instances), site.effort.burst * _TIMES
        )
    )
    pids = site.daemon_pids()
    with ThreadPoolExecutor(1) as beside:
        calls = beside.submit(site.allocate_at_once, wanted)
        most = cpu.memory_mb(pids)
        while not calls.done():
            most = max(most, cpu.memory_mb(pids))
            time.sleep(_POLL_SECONDS)
        calls.result()
    return Measured(most, _floor(site))


FIGURES = (
    Figure("memory", "MB", at_rest, _GOALS),
    Figure("memory with dnsmasq", "MB", with_server, _GOALS),
    Figure("memory with many calls", "MB", in_flight, _GOALS),
)


def _floor(site: Site) -> float:
    """MB of interpreters that have imported the same."""
    texts = [
        f"import {names}; print({READY!r}, flush=True); input()"
        for names in _PROGRAMS
    ]
    with interpreters.running(site, texts) as pids:
        return cpu.memory_mb(pids)


def _least_server(site: Site) -> float:
    """MB of a dnsmasq on the floor's node."""
    here = site.lab.spec.directory / "least-dnsmasq"
    here.mkdir(exist_ok=True)
    pid = here / "pid"
    server = LabProcess(
        [
            *["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null"],
            *["--user=root", "--no-resolv", "--no-hosts", "--bind-dynamic"],
            f"--pid-file={pid}",
        ],
        log=here / "log",
        namespace=site.floor_namespace,
    )
    try:
        server.wait_until(pid.exists)
        return cpu.memory_mb([server.pid])
    finally:
        server.kill()
        pid.unlink(missing_ok=True)
