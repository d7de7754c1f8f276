"""Allocations that meet passes of the whole host.

A timer, a repair and a doubt cause such passes at any time; here somebody asks
for one, rests as long as it took, and asks again.
"""

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from flatnet.lab.bench.calling import Calls
from flatnet.lab.bench.figure import FLOOR, Figure, Goal, Measured
from flatnet.lab.bench.site import Site

# Of so many more calls is one in a hundred told.
_TIMES = 5


def reconcile(site: Site) -> None:
    """Ask for a pass of the whole host, and wait for it."""
    site.ask("reconcile", {"host": site.node.name})


def slowest(site: Site) -> Measured:
    """The 99th percentile of allocations that meet whole passes.

    The floor is the median of allocations that meet none.
    """
    quiet = _allocations(site, site.effort.calls)
    with _passes(site), site.spent() as spent:
        calls = _allocations(site, site.effort.calls * _TIMES)
    return Measured(calls.p99, quiet.p50, spent.each(len(calls.seconds)))


FIGURES = (
    Figure(
        "allocate amid whole passes, p99", "ms", slowest, (Goal(3, FLOOR),)
    ),
)


def _allocations(site: Site, count: int) -> Calls:
    """So many, one after the other.

    Where they do not all find a place, some go before others come.
    """
    made: list[Calls] = []
    while (left := count - sum(len(each.seconds) for each in made)) > 0:
        with site.newcomers(min(left, site.room)) as wanted:
            calls = site.one_by_one("allocate_for_instance", wanted)
            site.check_complete(wanted, calls)
        made.append(calls)
    return Calls(
        tuple(itertools.chain.from_iterable(each.seconds for each in made)),
        sum(each.wall for each in made),
        (),
    )


@contextlib.contextmanager
def _passes(site: Site) -> Iterator[None]:
    """Have whole passes during half of the time.

    :raises LabError, FlatnetError: one of them failed
    """
    client, end = site.lab.rpc(), threading.Event()

    def ask() -> None:
        took = 0.0
        while not end.wait(took):
            start = time.monotonic()
            client.call("reconcile", host=site.node.name)
            took = time.monotonic() - start

    with contextlib.closing(client), ThreadPoolExecutor(1) as beside:
        asking = beside.submit(ask)
        try:
            yield
        finally:
            end.set()
        asking.result()
