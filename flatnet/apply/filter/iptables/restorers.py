"""iptables-restore, started before there is anything to write.

Goals, and how each is met:

* Who waits for a rule waits for it to be written, and for no program to come:
  with what binds it to us (see `command`) that takes four times as long as
  what it does then.  Whoever used one has the next started once nobody waits.
* Nothing is written but what it is given, and that as things are by then: it
  asks the kernel for nothing before it has read to the end, and reads its end
  when we die.
* It is the one that would be started now: not if what its name leads to is
  another file.  Where somebody killed it meanwhile, another is started.

Given up: two processes that do nothing, up to 0.5 MB each beside what they
share.  Of iptables-legacy, and of what others put in its place, nobody knows
what waits for them while they wait: these are started when they are needed.
"""

import contextlib
import os
from collections.abc import Hashable
from dataclasses import dataclass

from flatnet.apply.command import Finished, Started, resolved, start
from flatnet.apply.filter.iptables.iptables import COMMANDS
from flatnet.apply.rule_writers import OwnPrograms
from flatnet.exceptions import HostSetupError

WAIT_SECONDS = "10"
# What iptables-restore leads to where it is of nftables.
_PROGRAM = "xtables-nft-multi"


@dataclass(frozen=True)
class _Waiting:
    program: Hashable
    started: Started


class Restorers:
    """Those of both families; `own` is told which programs they were."""

    def __init__(self) -> None:
        self.own = OwnPrograms()
        self._waiting: dict[int, _Waiting] = {}
        # The families whose program was used.
        self._used: set[int] = set()

    def run(self, family: int, text: str) -> Finished:
        """Have one read `text`, and wait for its end.

        :raises HostSetupError: it is not installed, or does not end
        """
        self._used.add(family)
        outcome = self._taken(family).finish(text)
        self.own.note(outcome.pid)
        return outcome

    def prepare(self) -> None:
        """Start another where one was used.

        Where that fails it is for who needs it to say.
        """
        while self._used:
            family = self._used.pop()
            program = _program(family)
            if program and family not in self._waiting:
                with contextlib.suppress(HostSetupError, OSError):
                    self._waiting[family] = _Waiting(program, _started(family))

    def _taken(self, family: int) -> Started:
        waiting = self._waiting.pop(family, None)
        if waiting is not None:
            is_same = waiting.program == _program(family)
            if is_same and not waiting.started.has_ended:
                return waiting.started
            waiting.started.kill()
        return _started(family)


def _started(family: int) -> Started:
    words = "--noflush", "--wait", WAIT_SECONDS
    return start(f"{COMMANDS[family]}-restore", *words)


def _program(family: int) -> Hashable:
    """Which file it is, if that is one which can wait; else nothing."""
    path = resolved(f"{COMMANDS[family]}-restore")
    if os.path.basename(path) != _PROGRAM:
        return None
    with contextlib.suppress(OSError):
        found = os.stat(path)
        return path, found.st_dev, found.st_ino
    return None
