"""What a host costs that nothing happens to."""

import time

from flatnet.lab.bench import cpu, interpreters
from flatnet.lab.bench.figure import Figure, Goal, Measured
from flatnet.lab.bench.interpreters import READY
from flatnet.lab.bench.site import Site


def idle(site: Site) -> Measured:
    """Percent of a core while nothing happens.

    The floor is a Python process that wakes up once a second.
    """
    wakes = (
        f"import time; print({READY!r}, flush=True)\nwhile True: time.sleep(1)"
    )
    ours = site.daemon_pids()
    with interpreters.running(site, [wakes]) as pids:
        before, least = cpu.running(ours), cpu.running(pids)
        time.sleep(site.effort.seconds)
        spent = cpu.running(ours) - before
        floor = cpu.running(pids) - least
    percent = 100 / site.effort.seconds
    return Measured(spent * percent, floor * percent)


IDLE = Figure("idle", "% of a core", idle, (Goal(0.5),))
