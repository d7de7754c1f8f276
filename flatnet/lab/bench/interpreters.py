"""Interpreters on a host that the daemon's processes are compared with."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence

from flatnet.lab import namespaces
from flatnet.lab.bench.site import Site
from flatnet.lab.namespaces import LabError
from flatnet.lab.server_process import as_user

READY = "ready"


@contextlib.contextmanager
def running(site: Site, programs: Sequence[str]) -> Iterator[list[int]]:
    """Let interpreters run these texts; yield their pids.

    A text prints READY once it has come as far as it is to be compared.
    """
    begun: list[subprocess.Popen[str]] = []
    try:
        for text in programs:
            python = [sys.executable, "-W", "ignore", "-c", text]
            command = [*as_user(None), *python]
            begun.append(
                subprocess.Popen(
                    namespaces.inside(site.node.namespace, command),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
            )
        for each in begun:
            if each.stdout is None or each.stdout.readline() != f"{READY}\n":
                raise LabError("an interpreter to compare with has ended")
        yield [each.pid for each in begun]
    finally:
        for each in begun:
            each.kill()
            each.communicate()
