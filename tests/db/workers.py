"""Real processes that use a database all at once.

As a program it reads one line of JSON per task from its input,
`{"url": ..., "task": ..., "network": ..., "ids": [...]}`, waits for one
more line, does the task for each instance id and answers with one line:
`done`, or what went wrong.
"""

import json
import subprocess
import sys
from pathlib import Path

from flatnet.db import (
    allocation,
    deallocation,
    host_addresses,
    instances,
    server_roles,
)
from flatnet.db.engine import Database

_SOURCES = Path(__file__).parents[2]


class Crowd:
    """Processes that wait for tasks; close it when done."""

    def __init__(self, number):
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.db.workers"],
                cwd=_SOURCES,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(number)
        ]

    def run(self, url, *tasks):
        """Run (task, instance ids, network uuid) per process, at one moment.

        :raises AssertionError: one failed
        """
        busy = self._processes[: len(tasks)]
        assert len(busy) == len(tasks)
        for process, (task, ids, network) in zip(busy, tasks, strict=True):
            order = {"url": url, "task": task, "ids": ids, "network": network}
            _write(process, json.dumps(order))
        for process in busy:
            assert process.stdout.readline() == "ready\n"
        for process in busy:
            _write(process, "go")
        said = [process.stdout.readline() for process in busy]
        assert said == ["done\n"] * len(busy)

    def close(self):
        for process in self._processes:
            process.kill()
            process.communicate()


def _write(process, line):
    process.stdin.write(line + "\n")
    process.stdin.flush()


def main():
    for line in sys.stdin:
        order = json.loads(line)
        database = Database(order["url"])
        instances.list_all(database)
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            for each in order["ids"]:
                TASKS[order["task"]](database, order["network"], each)
        except Exception as error:  # noqa: BLE001
            # Whatever it is, the test is to show it.
            print(repr(error), flush=True)
        else:
            print("done", flush=True)
        database.close()


def _allocate(database, network, instance_id):
    instance = instances.get(database, instance_id)
    allocation.allocate(
        database,
        instance_uuid=instance.uuid,
        placement=allocation.Placing(instance.host),
    )


def _deallocate(database, network, instance_id):
    instance = instances.get(database, instance_id)
    deallocation.deallocate(database, instance_uuid=instance.uuid)


def _churn(database, network, instance_id):
    _allocate(database, network, instance_id)
    _deallocate(database, network, instance_id)
    _allocate(database, network, instance_id)


def _host(database, network, instance_id):
    host_addresses.ensure(
        database, network_uuid=network, host="node1", quarantine=600
    )


def _claim(database, network, host):
    server_roles.claim(
        database, network_uuid=network, host=host, quarantine=600
    )


TASKS = {
    "allocate": _allocate,
    "deallocate": _deallocate,
    "churn": _churn,
    "host": _host,
    "claim": _claim,
}

if __name__ == "__main__":
    main()
