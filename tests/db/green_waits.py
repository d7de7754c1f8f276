"""As a program: wait in green threads for a database that is silent.

`green_waits.py URL PATIENCE`: says that it is ready, reads a line, has
twenty write at once, and says as JSON how they ended and how long a green
thread that only sleeps was held up.
"""

import eventlet

eventlet.monkey_patch()

import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

from flatnet.db import instances  # noqa: E402
from flatnet.db.engine import Database  # noqa: E402


def main(url, patience):
    database = Database(url, patience=float(patience))
    instances.list_all(database)
    print("ready", flush=True)
    sys.stdin.readline()
    gaps = []
    ticker = eventlet.spawn(tick, gaps)
    begun = time.monotonic()
    pool = eventlet.GreenPool()
    errors = list(pool.imap(attempt, [database] * 20))
    found = {
        "errors": errors,
        "seconds": time.monotonic() - begun,
        "longest_gap": max(gaps),
    }
    ticker.kill()
    print(json.dumps(found), flush=True)


def tick(gaps):
    while True:
        begun = time.monotonic()
        eventlet.sleep(0.05)
        gaps.append(time.monotonic() - begun)


def attempt(database):
    try:
        instances.create(
            database, hostname="vm", host="node1", project_id="demo"
        )
    except Exception as error:  # noqa: BLE001
        # Whatever it is, the test is to show it.
        return type(error).__name__
    return "done"


if __name__ == "__main__":
    main(*sys.argv[1:])
