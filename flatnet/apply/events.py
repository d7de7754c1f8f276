"""What the applier tells the daemon unasked, through a pipe.

A message is a line of JSON and says which guests' ports it is about, that it
is about the host itself, or that it may be about anything.  It is so short
that the kernel takes it whole or not at all; where the pipe is full the
applier tries again, and then it is about everything.  What the daemon cannot
read is about everything too.
"""

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

# PIPE_BUF is 4096, and a name has 15 bytes.
_MOST_PORTS = 128
_AT_ONCE = 4096


@dataclass(frozen=True)
class Happened:
    """What somebody did to the host: to `ports`, or to who knows what.

    `host`: to what every pass looks at, whatever it is about.
    """

    everything: bool = False
    ports: tuple[str, ...] = ()
    host: bool = False

    def __or__(self, other: "Happened") -> "Happened":
        ports = tuple(sorted({*self.ports, *other.ports}))
        if self.everything or other.everything or len(ports) > _MOST_PORTS:
            return ANYTHING
        return Happened(ports=ports, host=self.host or other.host)


NOTHING = Happened()
HOST = Happened(host=True)
ANYTHING = Happened(everything=True)


class Teller:
    """The applier's end; it never waits."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._untold = NOTHING

    def tell(self, happened: Happened) -> None:
        """Ask for a pass about what happened, and what could not be told."""
        self._untold |= happened
        if self._untold == NOTHING:
            return
        line = msgspec.json.encode(self._untold) + b"\n"
        with contextlib.suppress(BlockingIOError):
            os.write(self._descriptor, line)
            self._untold = NOTHING


class Hearer:
    """The daemon's end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""

    def wait(self) -> Happened | None:
        """Wait for what happened; none once the applier is gone."""
        lines: list[bytes] = []
        while not lines:
            data = os.read(self._descriptor, _AT_ONCE)
            if not data:
                return None
            *lines, self._rest = (self._rest + data).split(b"\n")
        return _joined(map(_read, lines))


def _joined(parts: Iterable[Happened]) -> Happened:
    found = NOTHING
    for each in parts:
        found |= each
    return found


def _read(line: bytes) -> Happened:
    try:
        return msgspec.json.decode(line, type=Happened)
    except msgspec.MsgspecError:
        return ANYTHING
