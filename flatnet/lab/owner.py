"""Which process holds a lab, so that another one can tell and end it."""

import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

_FILE = "lab.json"
_END_SECONDS = 60.0
_POLL_SECONDS = 0.1
# After the program's name in parentheses, which may hold anything:
# proc(5), field 22 counted from 1, the state being field 3.
_START_TIME = 19


@dataclass(frozen=True)
class Owner:
    """A process by its number and start (clock ticks since the boot).

    Numbers are given out again, the pair is not.  `nodes` is the size of
    its lab.
    """

    pid: int
    started: int
    nodes: int

    @property
    def lives(self) -> bool:
        return started_at(self.pid) == self.started

    def end(self) -> None:
        """Ask it to take its lab down, and wait until it is gone."""
        deadline = time.monotonic() + _END_SECONDS
        if self.lives:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
        while self.lives and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)


def started_at(pid: int) -> int:
    """When a process started; 0 if there is none or it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] == "Z" else int(fields[_START_TIME])


def write(directory: Path, *, nodes: int) -> None:
    """Note that this process holds the lab in `directory`."""
    pid = os.getpid()
    owner = Owner(pid=pid, started=started_at(pid), nodes=nodes)
    new = directory / f"{_FILE}.new"
    new.write_text(json.dumps(asdict(owner)))
    new.rename(directory / _FILE)


def read(directory: Path) -> Owner | None:
    """The process that holds the lab in `directory`; none: no lab there."""
    try:
        return Owner(**json.loads((directory / _FILE).read_text()))
    except FileNotFoundError:
        return None
