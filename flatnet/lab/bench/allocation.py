"""Allocations and deallocations: one caller, and many at once.

An allocation counts as complete: its answer says that the port is active, and
afterwards all of it is found on the host; a deallocation, if nothing of it is
(`complete`).
"""

import contextlib
from collections.abc import Iterator

from flatnet.lab.bench import rows
from flatnet.lab.bench.figure import FIRST, FLOOR, Figure, Goal, Measured
from flatnet.lab.bench.leaving import room_for
from flatnet.lab.bench.rows import NewInstance
from flatnet.lab.bench.site import Site

_ECHOES = 640
# Calls of each of many callers, at least and at most: with one alone they
# would all be in one transaction and one pass.
_LEAST_EACH, _EACH = 2, 4
_GOALS = (Goal(1.5, FLOOR), Goal(1.25, FIRST))
_RATE = (Goal(200, sign=">="),)
# Milliseconds of all processes together.
_CPU = Goal(10)


def allocate(site: Site) -> Measured:
    """One allocation after the other, for half of them at most."""
    with site.newcomers(site.effort.calls) as wanted:
        with site.spent() as spent:
            calls = site.one_by_one("allocate_for_instance", wanted)
        site.check_complete(wanted, calls)
    least, _ = _floor(site)
    by_libraries, _ = _libraries(site)
    used = spent.each(len(calls.seconds))
    return Measured(calls.p50, least, used, by_libraries)


def deallocate(site: Site) -> Measured:
    """One deallocation after the other, for half of them at most."""
    with site.newcomers(site.effort.calls) as wanted:
        made = site.allocate_at_once(wanted)
        guests = site.check_complete(wanted, made)
        with site.spent() as spent:
            calls = site.one_by_one("deallocate_for_instance", wanted)
        site.check_gone(guests[: len(calls.seconds)])
    _, least = _floor(site)
    _, by_libraries = _libraries(site)
    used = spent.each(len(calls.seconds))
    return Measured(calls.p50, least, used, by_libraries)


def allocate_at_once(site: Site) -> Measured:
    """Allocations in a second, with many callers."""
    with _crowd(site) as wanted:
        with site.spent() as spent:
            calls = site.allocate_at_once(wanted)
        site.check_complete(wanted, calls)
    return Measured(calls.rate, _echoes(site), spent.each(len(wanted)))


def deallocate_at_once(site: Site) -> Measured:
    """Deallocations in a second, with many callers."""
    with _crowd(site) as wanted:
        made = site.allocate_at_once(wanted)
        guests = site.check_complete(wanted, made)
        with site.spent() as spent:
            calls = site.deallocate_at_once(wanted)
        site.check_gone(guests)
    return Measured(calls.rate, _echoes(site), spent.each(len(wanted)))


def one_caller(title: str) -> tuple[Figure, ...]:
    """The figures of one caller, on hosts that are laid out as is said."""
    return (
        Figure(f"allocate, {title}", "ms", allocate, _GOALS),
        Figure(f"deallocate, {title}", "ms", deallocate, _GOALS),
    )


def many_callers(title: str) -> tuple[Figure, ...]:
    """The figures of many callers at once."""
    return (
        Figure(f"allocate, {title}", "1/s", allocate_at_once, _RATE, cpu=_CPU),
        Figure(
            f"deallocate, {title}", "1/s", deallocate_at_once, _RATE, cpu=_CPU
        ),
    )


def _floor(site: Site) -> tuple[float, float]:
    """Milliseconds of the least allocation and of the least deallocation."""
    names = [{"name": rows.new_uuid()} for _ in range(site.effort.calls)]
    put = site.floor("allocate", names)
    made = names[: len(put.seconds)]
    return put.p50, site.floor("deallocate", made).p50


def _libraries(site: Site) -> tuple[float, ...]:
    """The same by a server of two processes and our libraries."""
    return site.libraries.milliseconds("put", "drop", held=site.size)


@contextlib.contextmanager
def _crowd(site: Site) -> Iterator[list[NewInstance]]:
    """Instances for many callers, of whom each has several, if there is room.

    Where there is too little, some who are there leave meanwhile.
    """
    callers = site.effort.burst
    count = max(_LEAST_EACH * callers, min(_EACH * callers, site.room))
    with room_for(site, count), site.newcomers(count) as wanted:
        yield wanted


def _echoes(site: Site) -> float:
    """Calls in a second of as many callers, to who answers at once."""
    return site.floor_at_once("echo", _ECHOES, site.effort.burst).rate
