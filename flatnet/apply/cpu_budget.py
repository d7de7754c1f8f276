"""How much of a core goes into looking at what nothing tells of.

Whole passes may come one after the other, and what has neither events nor a
count grows with the host.  So each such look rests for a multiple of what it
took of a processor, whoever else wanted that: it is at most a small share of
one, and on a host where it is cheap it is done nearly always.
"""

import contextlib
import time
from collections.abc import Iterator

# A look rests for so many times as long as it took: with a thousand devices,
# which take 8 ms, half a second.
_REST = 60


class CpuBudget:
    """Knows when one kind of look was done last, and how long it took."""

    def __init__(self, rest: int = _REST) -> None:
        """`rest`: for how many times as long as it took a look rests."""
        self._rest = rest
        self._next = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it may be done again."""
        return time.monotonic() >= self._next

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Look within this."""
        start = time.thread_time()
        yield
        took = time.thread_time() - start
        self._next = time.monotonic() + took * self._rest
