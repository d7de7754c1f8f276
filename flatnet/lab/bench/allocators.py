"""Many processes that write to the database at the same time, and no host.

The daemons of many hosts allocate from one network; what that costs without a
pass is measured by processes, for threads would wait for one another.  It is
a program that reads one JSON object and prints the seconds that all took:

    {"url": ..., "width": 32, "network": UUID or null, "uuids": [...],
     "warm": UUID of a network, "warming": [...]}

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
from collections.abc import Callable
from functools import partial
from multiprocessing.synchronize import Barrier
from typing import Any

from flatnet.db import allocation
from flatnet.db.engine import Database
from flatnet.db.orders import Placement

HOST = "nowhere"
_SECONDS = 120.0


def main() -> int:
    """Let them all begin at once, and print when the last has ended."""
    warnings.simplefilter("ignore")
    asked = json.load(sys.stdin)
    width = asked["width"]
    ready = multiprocessing.Barrier(width + 1)
    processes = [
        multiprocessing.Process(
            target=_allocate_each,
            args=(
                asked,
                asked["warming"][number],
                asked["uuids"][number::width],
                ready,
            ),
        )
        for number in range(width)
    ]
    for each in processes:
        each.start()
    ready.wait(_SECONDS)
    start = time.monotonic()
    for each in processes:
        each.join()
    print(json.dumps(time.monotonic() - start))
    return max(abs(each.exitcode or 0) for each in processes)


def _allocate_each(
    asked: dict[str, Any], warming: str, uuids: list[str], ready: Barrier
) -> None:
    with contextlib.closing(Database(asked["url"])) as database:
        one = _writer(database, asked["network"])
        _writer(database, asked["warm"])(instance_uuid=warming)
        ready.wait(_SECONDS)
        for uuid in uuids:
            one(instance_uuid=uuid)


def _writer(database: Database, network: str | None) -> Callable[..., object]:
    if network is None:
        return partial(_insert, database)
    return partial(
        allocation.allocate,
        database,
        placement=Placement(host=HOST, takes_address=False),
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
