"""Many processes that write to the database at the same time, and no host.

The daemons of many hosts allocate from one network; what that costs without a
pass is measured by processes, for threads would wait for one another.  It is
a program that reads one JSON object and prints a list with one of each round:

    {"url": ..., "width": 32, "network": UUID or null, "uuids": [...],
     "rounds": 8, "warm": UUID of a network, "warming": [...],
     "servers": {"database": [PID]}}
    [{"seconds": 0.1, "cpu_ms": {"allocators": 50.5, "database": 20}}]

Seconds are from when the first process begins to when the last has what it
asked for; the processor time is theirs and that of `servers`, by role.

In each round all instances get an address, and between two it is taken from
them as if it had never been, so that each begins with as many as the first.
Without a network each commits a row, as the floor does.  Before they begin
each allocates for one instance in the network `warm`: a daemon has composed
its statements long ago.
"""

import contextlib
import json
import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from functools import partial
from multiprocessing.synchronize import Barrier
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from flatnet.db import allocation, engine, models
from flatnet.db.engine import Database
from flatnet.db.orders import Placing
from flatnet.lab.bench import cpu

HOST = "nowhere"
_SECONDS = 120.0


def main() -> int:
    """Let them all begin at once, round by round, and print what these took.

    Who ends as a process, and what that costs, is no part of it.
    """
    warnings.simplefilter("ignore")
    asked = json.load(sys.stdin)
    width = asked["width"]
    turns = multiprocessing.Barrier(width + 1)
    # When each began, and when it had ended, by the one clock of the machine;
    # and the seconds of processor time that it had.
    times = multiprocessing.Array("d", 3 * width, lock=False)
    processes = [
        multiprocessing.Process(
            target=_allocate_each, args=(asked, number, turns, times)
        )
        for number in range(width)
    ]
    for each in processes:
        each.start()
    print(json.dumps(list(_rounds(asked, turns, times))))
    for each in processes:
        each.join()
    return max(abs(each.exitcode or 0) for each in processes)


def _rounds(
    asked: dict[str, Any], turns: Barrier, times: Sequence[float]
) -> Iterator[dict[str, Any]]:
    width, servers = asked["width"], asked["servers"]
    with contextlib.closing(Database(asked["url"])) as database:
        turns.wait(_SECONDS)
        for _ in range(asked["rounds"]):
            before = cpu.used_ms(servers)
            turns.wait(_SECONDS)
            turns.wait(_SECONDS)
            spent = cpu.spent_ms(before, cpu.used_ms(servers))
            began, ended = times[:width], times[width : 2 * width]
            spent["allocators"] = sum(times[2 * width :]) * 1000
            yield {"seconds": max(ended) - min(began), "cpu_ms": spent}
            if asked["network"]:
                _take_back(database, asked["network"], asked["uuids"])


def _allocate_each(
    asked: dict[str, Any],
    number: int,
    turns: Barrier,
    times: MutableSequence[float],
) -> None:
    """Take part in each round, as the process of this number."""
    width = asked["width"]
    with contextlib.closing(Database(asked["url"])) as database:
        one = _writer(database, asked["network"])
        _writer(database, asked["warm"])(
            instance_uuid=asked["warming"][number]
        )
        turns.wait(_SECONDS)
        for _ in range(asked["rounds"]):
            turns.wait(_SECONDS)
            used = time.process_time()
            times[number] = time.monotonic()
            for uuid in asked["uuids"][number::width]:
                one(instance_uuid=uuid)
            times[width + number] = time.monotonic()
            times[2 * width + number] = time.process_time() - used
            turns.wait(_SECONDS)


@engine.writes
def _take_back(
    connection: Connection, network: str, instances: Sequence[str]
) -> None:
    """Delete what instances have, as if it had never been allocated.

    They have something in this network alone, and the last of its addresses.
    """
    bindings, ips = models.port_bindings, models.fixed_ips
    theirs = ips.c.instance_uuid.in_(instances)
    first = connection.scalars(select(func.min(ips.c.position)).where(theirs))
    networks = models.networks
    connection.execute(
        update(networks)
        .where(networks.c.uuid == network)
        .values(next_position=first.one())
    )
    for table in (bindings, ips, models.virtual_interfaces):
        connection.execute(
            delete(table).where(table.c.instance_uuid.in_(instances))
        )


def _writer(database: Database, network: str | None) -> Callable[..., object]:
    if network is None:
        return partial(_insert, database)
    return partial(
        allocation.allocate,
        database,
        placement=Placing(host=HOST, takes_address=False),
        requested=((network, None),),
    )


def _insert(database: Database, *, instance_uuid: str) -> None:
    database.write(
        lambda connection: connection.exec_driver_sql(
            "INSERT INTO floor (name) VALUES (%s)", (instance_uuid,)
        )
    )


if __name__ == "__main__":
    sys.exit(main())
