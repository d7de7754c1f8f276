"""What a host costs that nothing happens to."""

import time
from collections.abc import Sequence

from flatnet.lab.bench import cpu, interpreters, roles
from flatnet.lab.bench.figure import Figure, Goal, Measured
from flatnet.lab.bench.interpreters import READY
from flatnet.lab.bench.site import Site
from flatnet.lab.bench.whole_passes import reconcile

# In which the worker reads back what a pass has left.
_SETTLING_SECONDS = 1.0
_WAKES = (
    f"import time; print({READY!r}, flush=True)\nwhile True: time.sleep(1)"
)


def idle(site: Site) -> Measured:
    """Percent of a core while nothing happens but one pass of the timer.

    What calls before left to be cleared up is done before.  The floor is a
    Python process that wakes up once a second.
    """
    _settle(site)
    return _used(site, site.daemon_pids(), site.effort.rounding)


def probes(site: Site) -> Measured:
    """The same of the worker alone, which looks at the host once a second.

    No pass falls into that: the next one that nobody asks for is due in more
    seconds than are looked at.
    """
    _settle(site)
    return _used(site, [roles.worker(site.node)], site.effort.seconds)


FIGURES = (
    Figure("idle", "% of a core", idle, (Goal(0.5),)),
    Figure("idle, probes alone", "% of a core", probes, (Goal(0.2),)),
)


def _settle(site: Site) -> None:
    reconcile(site)
    time.sleep(_SETTLING_SECONDS)


def _used(site: Site, ours: Sequence[int], seconds: float) -> Measured:
    """What processes use for a while, beside the floor."""
    with interpreters.running(site, [_WAKES]) as pids:
        before, least = cpu.running(ours), cpu.running(pids)
        time.sleep(seconds)
        spent = cpu.running(ours) - before
        floor = cpu.running(pids) - least
    percent = 100 / seconds
    return Measured(spent * percent, floor * percent)
