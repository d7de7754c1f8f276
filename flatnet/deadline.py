"""By when what is being done must have ended, for all who wait on the way.

A call waits for locks, the database, a pass and other hosts, one after the
other, and its caller for all of it together.  So the end is one, set where
the call comes in and known to whatever waits below, in threads and in green
threads alike; each of these has its own.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_END: ContextVar[float] = ContextVar("flatnet_deadline", default=math.inf)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let what the block waits for end in so many seconds.

    An end that was set outside of it and is sooner stays.
    """
    token = _END.set(min(_END.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _END.reset(token)


def left(at_most: float = math.inf) -> float:
    """Return the seconds that one may wait for, 0 where there are none."""
    return max(0.0, min(at_most, _END.get() - time.monotonic()))
