"""The memory of the daemon's processes; what they share counts once."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

from flatnet.lab.bench import cpu, interpreters
from flatnet.lab.bench.figure import FLOOR, Figure, Goal, Measured
from flatnet.lab.bench.interpreters import READY
from flatnet.lab.bench.site import Site

# The daemon, and its two privileged processes, which are one program.
_PROGRAMS = ("flatnet.cmd.daemon", "flatnet.apply.process")
_GOALS = (Goal(1, FLOOR, more=40),)
_TIMES = 8
_POLL_SECONDS = 0.02


def at_rest(site: Site) -> Measured:
    """MB while nothing happens."""
    return Measured(cpu.memory_mb(site.daemon_pids()), _floor(site))


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
    Figure("memory with many calls", "MB", in_flight, _GOALS),
)


def _floor(site: Site) -> float:
    """MB of interpreters that have imported the same."""
    texts = [
        f"import {name}; print({READY!r}, flush=True); input()"
        for name in _PROGRAMS
    ]
    with interpreters.running(site, texts) as pids:
        return cpu.memory_mb(pids)
