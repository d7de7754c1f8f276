"""What a host costs that nothing happens to, and one that others change."""

import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from flatnet.lab import namespaces
from flatnet.lab.bench import cpu
from flatnet.lab.bench.figure import FLOOR, Figure, Goal, Measured
from flatnet.lab.bench.site import Site
from flatnet.lab.daemon import as_user
from flatnet.lab.namespaces import LabError

_OURS = ("manager", "applier")
# The daemon, and its two privileged processes, which are one program.
_PROGRAMS = ("flatnet.cmd.daemon", "flatnet.apply.process")
_READY = "ready"
_TEN_A_SECOND = """\
end=$(($(date +%s) + $1))
while [ $(date +%s) -lt $end ]; do
    iptables -A INPUT -p tcp --dport 9 -j ACCEPT
    iptables -D INPUT -p tcp --dport 9 -j ACCEPT
    sleep 0.17
done
"""


def memory(site: Site) -> Measured:
    """MB of the daemon's processes; shared memory counts once."""
    value = cpu.memory_mb(_pids(site))
    commands = [
        f"import {name}; print({_READY!r}, flush=True); input()"
        for name in _PROGRAMS
    ]
    with _pythons(site, commands) as pids:
        floor = cpu.memory_mb(pids)
    return Measured(value, floor)


def idle(site: Site) -> Measured:
    """Percent of a core while nothing happens.

    The floor is a Python process that wakes up once a second.
    """
    wakes = (
        f"import time; print({_READY!r}, flush=True)\n"
        "while True: time.sleep(1)"
    )
    with _pythons(site, [wakes]) as pids:
        ours, floors = cpu.running(_pids(site)), cpu.running(pids)
        time.sleep(site.effort.seconds)
        spent = cpu.running(_pids(site)) - ours
        least = cpu.running(pids) - floors
    percent = 100 / site.effort.seconds
    return Measured(spent * percent, least * percent)


def foreign(site: Site) -> Measured:
    """Percent of a core while others add and delete a rule, ten a second.

    The floor is what their commands take.
    """
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    with site.spent() as spent:
        node, seconds = site.node, max(2, round(site.effort.seconds))
        node.run(["sh", "-ec", _TEN_A_SECOND, "sh", str(seconds)])
    took = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - own.ru_utime - own.ru_stime
    ours = sum(spent.total.get(role, 0.0) for role in _OURS) / 1000
    return Measured(100 * ours / took, 100 * used / took)


MEMORY = Figure("memory", "MB", memory, (Goal(1, FLOOR, more=40),))
IDLE = Figure("idle", "% of a core", idle, (Goal(0.5),))
FOREIGN = Figure("foreign rules", "% of a core", foreign, (Goal(1),))


def _pids(site: Site) -> list[int]:
    found = site.processes()
    return [pid for role in _OURS for pid in found.get(role, ())]


@contextmanager
def _pythons(site: Site, programs: Sequence[str]) -> Iterator[list[int]]:
    """Interpreters that run these texts, once they say that they are ready."""
    running: list[subprocess.Popen[str]] = []
    try:
        for text in programs:
            python = [sys.executable, "-W", "ignore", "-c", text]
            command = [*as_user(None), *python]
            running.append(
                subprocess.Popen(
                    namespaces.inside(site.node.namespace, command),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
            )
        for each in running:
            if each.stdout is None or each.stdout.readline() != f"{_READY}\n":
                raise LabError("an interpreter to compare with has ended")
        yield [each.pid for each in running]
    finally:
        for each in running:
            each.kill()
            each.communicate()
