"""The database alone: allocations without a host, and networks."""

import contextlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from flatnet.db import networks
from flatnet.lab import namespaces
from flatnet.lab.bench import allocators, cpu, roles, rows
from flatnet.lab.bench.cpu import Spent
from flatnet.lab.bench.figure import FLOOR, Figure, Goal, Measured
from flatnet.lab.bench.rows import NewInstance
from flatnet.lab.bench.site import Site

_LABEL, _BRIDGE = "pool", "br-pool"
_SECONDS = 300.0
_RATE = (Goal(0.5, FLOOR, sign=">="),)
_INSERT = "INSERT INTO floor (name) VALUES (%s)"
_SMALL, _LARGE = "10.200.0.0/24", "10.201.0.0/16"
# The size of a network is to make no difference.
_SMALL_POOL, _SMALL_NETWORK = (
    "allocators, /24 nearly full",
    "network create, /24",
)
_WARM, _LARGEST = "warm", "10.202.0.0/16"


def allocate(
    site: Site, *, cidr: str, held: int, each: int, rounds: int
) -> Measured:
    """Allocations in a second by processes, each with a few to make.

    :param held: addresses that are taken before
    :param each: allocations of a process in a round
    :param rounds: how often that is looked at, each time from the same state,
        unless less effort is made
    """
    width, rounds = site.effort.allocators, min(rounds, site.effort.rounds)
    with contextlib.ExitStack() as undo:
        uuids = undo.enter_context(_instances(site, width * each))
        network = undo.enter_context(_network(site, _LABEL, cidr))
        rows.hold_addresses(site.database, network, held)
        rows.renew_statistics(site.database)
        value, used = _rate(site, uuids, network, rounds)
    floor, _ = _rate(site, uuids, None, rounds)
    return Measured(value, floor, used)


def create(site: Site, *, cidr: str) -> Measured:
    """Milliseconds of creating a network."""

    def one() -> None:
        networks.create(site.database, label=_LABEL, cidr=cidr, bridge=_BRIDGE)

    times, spent = [], []
    for _ in range(site.effort.calls):
        with site.spent() as used:
            own = time.process_time()
            times.append(_timed(one))
            own = time.process_time() - own
        used.total["callers"] += own * 1000
        spent.append(used)
        networks.delete(site.database, _LABEL)
    least = [_timed(partial(_insert, site)) for _ in times]
    return Measured(
        statistics.median(times), statistics.median(least), cpu.mean(spent)
    )


FIGURES = (
    Figure(
        _SMALL_POOL,
        "1/s",
        partial(allocate, cidr=_SMALL, held=200, each=1, rounds=16),
        _RATE,
    ),
    Figure(
        "allocators, /16 half full",
        "1/s",
        partial(allocate, cidr=_LARGE, held=32768, each=8, rounds=4),
        _RATE,
        beside={_SMALL_POOL: Goal(0.9, sign=">=")},
    ),
    Figure(
        _SMALL_NETWORK,
        "ms",
        partial(create, cidr=_SMALL),
        (Goal(1.5, FLOOR),),
    ),
    Figure(
        "network create, /16",
        "ms",
        partial(create, cidr=_LARGE),
        (Goal(1.5, FLOOR),),
        beside={_SMALL_NETWORK: Goal(1.1)},
    ),
)


@contextlib.contextmanager
def _instances(site: Site, count: int) -> Iterator[list[str]]:
    """So many instances without anything, by their uuids."""
    uuids = [rows.new_uuid() for _ in range(count)]
    rows.add_instances(
        site.database,
        [NewInstance(uuid, "allocated", allocators.HOST) for uuid in uuids],
    )
    try:
        yield uuids
    finally:
        rows.remove_instances(site.database, uuids)


@contextlib.contextmanager
def _network(site: Site, label: str, cidr: str) -> Iterator[str]:
    """A network that is emptied and deleted afterwards: its uuid."""
    uuid = networks.create(
        site.database, label=label, cidr=cidr, bridge=f"br-{label}"
    ).uuid
    try:
        yield uuid
    finally:
        rows.empty_network(site.database, uuid)
        networks.delete(site.database, uuid)


def _rate(
    site: Site, uuids: list[str], network: str | None, rounds: int
) -> tuple[float, dict[str, float]]:
    """Allocations or, without a network, commits in a second of a round.

    With that, milliseconds of processor time of one, by role.
    """
    width = site.effort.allocators
    with (
        _instances(site, width) as warming,
        _network(site, _WARM, _LARGEST) as warm,
    ):
        asked = {
            "url": site.lab.spec.database_url,
            "width": width,
            "network": network,
            "uuids": uuids,
            "rounds": rounds,
            "warm": warm,
            "warming": warming,
            "servers": {roles.DATABASE: roles.pids(site.lab)[roles.DATABASE]},
        }
        said = namespaces.run(
            site.lab.inside_control(
                [sys.executable, "-m", allocators.__name__]
            ),
            text=json.dumps(asked),
            timeout=_SECONDS,
        )
    found = json.loads(said)
    seconds = statistics.median(each["seconds"] for each in found)
    spent = [Spent(each["cpu_ms"]) for each in found]
    return len(uuids) / seconds, cpu.mean(spent, len(uuids))


def _insert(site: Site) -> None:
    site.database.write(
        lambda connection: connection.exec_driver_sql(
            _INSERT, (rows.new_uuid(),)
        )
    )


def _timed(act: Callable[[], None]) -> float:
    start = time.monotonic()
    act()
    return (time.monotonic() - start) * 1000
