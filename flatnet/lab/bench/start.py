"""Starting on a host that is as its rows say, and a pass that finds it so."""

import statistics
import sys
import time

from flatnet.db import snapshot
from flatnet.lab import namespaces
from flatnet.lab.bench import cpu
from flatnet.lab.bench.figure import FLOOR, Figure, Goal, Measured
from flatnet.lab.bench.site import READY_SECONDS, Site
from flatnet.lab.bench.whole_passes import reconcile
from flatnet.lab.namespaces import LabError

_READY = "READY=1"
_POLL_SECONDS = 0.002
# What both processes of the daemon have imported when they are ready.
_IMPORTS = (
    "import flatnet.cmd.manager, flatnet.cmd.daemon, flatnet.apply.process"
)


def start(site: Site) -> Measured:
    """From starting the daemon to its word that the host is ready."""
    times, spent = [], []
    for _ in range(site.effort.starts):
        with site.spent() as used:
            times.append(_start(site))
        spent.append(used)
        site.node.await_daemon(seconds=READY_SECONDS)
    floors = [_import(site) for _ in times]
    return Measured(
        statistics.median(times), statistics.median(floors), cpu.mean(spent)
    )


def idle_pass(site: Site) -> Measured:
    """A call that waits for a pass of the whole host, with nothing to do."""
    times = []
    with site.spent() as spent:
        for _ in range(site.effort.least):
            start = time.monotonic()
            reconcile(site)
            times.append((time.monotonic() - start) * 1000)
    reads = [_read(site) for _ in times]
    return Measured(
        statistics.median(times),
        statistics.median(reads),
        spent.each(len(times)),
    )


FIGURES = (
    Figure(
        "start to ready", "ms", start, (Goal(1, FLOOR, more=300),), least=0
    ),
    Figure("pass with nothing to do", "ms", idle_pass, (Goal(1.5, FLOOR),)),
)


def _start(site: Site) -> float:
    """Milliseconds of one start."""
    node = site.node
    node.stop_daemon()
    start = time.monotonic()
    node.begin_daemon()
    while _READY not in node.notified:
        if not node.daemon_runs or time.monotonic() > start + READY_SECONDS:
            raise LabError(f"{node.name}: the daemon does not get ready")
        time.sleep(_POLL_SECONDS)
    return (time.monotonic() - start) * 1000


def _import(site: Site) -> float:
    """Milliseconds of an interpreter that imports what the daemon does."""
    command = [sys.executable, "-W", "ignore", "-c", _IMPORTS]
    start = time.monotonic()
    namespaces.run(namespaces.inside(site.node.namespace, command))
    return (time.monotonic() - start) * 1000


def _read(site: Site) -> float:
    """Milliseconds of reading all rows of the host."""
    start = time.monotonic()
    snapshot.read(site.database, site.node.name)
    return (time.monotonic() - start) * 1000
