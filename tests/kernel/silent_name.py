"""As a program: a database by a name, where the name server is silent.

`silent_name.py EXECUTOR URL`: says as JSON how the call ended and how long a
thread that only sleeps was held up.
"""

import sys

if sys.argv[1] == "eventlet":
    import eventlet

    eventlet.monkey_patch()

import json
import threading
import time

from flatnet.db import networks
from flatnet.db.engine import Database

PATIENCE = 3.0


def main(url):
    gaps = []
    ticker = threading.Thread(target=tick, args=(gaps,), daemon=True)
    ticker.start()
    begun = time.monotonic()
    try:
        networks.list_all(Database(url, patience=PATIENCE))
    except Exception as error:  # noqa: BLE001
        # Whatever it is, the test is to show it.
        said = f"{type(error).__name__}: {error}"
    seconds = time.monotonic() - begun
    # One more tick, which was held up if any was.
    time.sleep(0.2)
    found = {"said": said, "seconds": seconds, "longest_gap": max(gaps)}
    print(json.dumps(found), flush=True)


def tick(gaps):
    while True:
        begun = time.monotonic()
        time.sleep(0.05)
        gaps.append(time.monotonic() - begun)


if __name__ == "__main__":
    main(sys.argv[2])
