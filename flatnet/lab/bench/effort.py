"""How long one figure is looked at."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """Numbers of calls and of seconds.

    One caller makes `calls`, or as many as fit in `seconds`, but `least`;
    where many call at once they are `burst`, and `allocators` where they are
    processes, who are let go `rounds` times at most.  A group that is a source
    has `members`.  A daemon is started `starts` times, and what
    somebody does to a host is done `repairs` times.  What goes on is looked
    at once it has gone on for `settling` seconds, and what comes round for
    `rounding`, by default the time from one pass of the timer to the next.
    """

    calls: int = 20
    least: int = 5
    seconds: float = 20.0
    burst: int = 64
    allocators: int = 32
    members: int = 20_000
    rounds: int = 16
    starts: int = 3
    repairs: int = 3
    settling: float = 20.0
    rounding: float = 60.0


QUICK = Effort(
    calls=5,
    least=3,
    seconds=2.0,
    burst=16,
    allocators=8,
    members=200,
    rounds=2,
    starts=1,
    repairs=1,
    settling=0.0,
    rounding=2.0,
)
