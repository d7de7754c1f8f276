"""The name `host`: one daemon has it, wherever it runs.

A cloned machine, or a typo, makes two daemons serve one host's rows; each
takes the other's ports and addresses for leftovers.  So the name is claimed
in the database before anything is touched, and lost by silence.
"""

import os
import socket
import time
from pathlib import Path

from flatnet.cmd.hostrows import BINARY
from flatnet.config.settings import Settings
from flatnet.db import services
from flatnet.db.engine import Database
from flatnet.exceptions import HostNameTaken
from flatnet.plan.conditions import LONGEST_SILENCE

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PAUSE = 0.5


def holder() -> str:
    """Return what no other machine has, nor this one once it was restarted.

    Of several network namespaces of a machine each is a host of its own.  A
    daemon that comes back after a crash is the same holder.
    """
    boot = _BOOT.read_text().strip()
    return f"{boot} {os.stat('/proc/self/ns/net').st_ino}"


def claimed(database: Database, settings: Settings) -> services.Claim | None:
    """Take the name if it is free; return none, or who has it.

    It is also where the row of who had it is gone, with a database that was
    restored.
    """
    return services.claim(
        database,
        host=settings.host,
        binary=BINARY,
        holder=holder(),
        machine=f"{socket.gethostname()} ({settings.my_ip})",
        patience=LONGEST_SILENCE,
    )


def claim(database: Database, settings: Settings) -> None:
    """Return once the name is ours.

    Who had it may have died with its machine, so one that was heard of
    lately is given the time of three reports to say another word.

    :raises HostNameTaken: another daemon has it, and reports
    """
    deadline = time.monotonic() + 2 * LONGEST_SILENCE
    first: services.Claim | None = None
    while True:
        found = claimed(database, settings)
        if found is None:
            return
        first = first or found
        if found != first or time.monotonic() > deadline:
            raise HostNameTaken(
                f"host {settings.host} is served by flatnet-manager on "
                f"{found.machine}, which reported just now: give each "
                "machine a `host` of its own"
            )
        time.sleep(_PAUSE)
