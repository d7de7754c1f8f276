"""What passes between two guests of a host, beside two on a plain bridge.

The floor of the first figures is a bridge that hands no packet to netfilter,
that of the last a bridge that tracks connections and has one rule.
"""

import contextlib
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

from flatnet.lab import namespaces
from flatnet.lab.bench import pairs, script, stream
from flatnet.lab.bench.figure import FLOOR, Figure, Goal, Measured
from flatnet.lab.bench.pairs import Pair
from flatnet.lab.bench.site import Site
from flatnet.lab.namespaces import LabError

_GOALS = (Goal(0.95, FLOOR, sign=">="),)
_LONGEST = 2.0
_ROUNDS = 3


def _compared(
    site: Site,
    *,
    look: Callable[[Pair, float], float],
    least: Callable[[Site], AbstractContextManager[Pair]],
) -> Measured:
    """Look at both pairs in turn, so that neither has the quieter times.

    :param look: what is measured of a pair, in so many seconds
    :param least: the pair of the floor
    """
    seconds = min(_LONGEST, site.effort.seconds / 10)
    with (
        pairs.guests(site, site.layout.each) as guests,
        least(site) as plain,
    ):
        looks = [
            (look(guests, seconds), look(plain, seconds))
            for _ in range(_ROUNDS)
        ]
    values, floors = zip(*looks, strict=True)
    return Measured(statistics.median(values), statistics.median(floors))


def _tcp(pair: Pair, seconds: float) -> float:
    with _listening(pair, "receive") as receiver:
        assert receiver.stdout is not None
        start = time.monotonic()
        namespaces.run(_stream(pair.sender, "send", pair, str(seconds)))
        total = int(receiver.stdout.readline())
        return total * 8 / 1e9 / (time.monotonic() - start)


def _udp(pair: Pair, seconds: float) -> float:
    with _listening(pair, "sink"):
        before, start = received(pair), time.monotonic()
        namespaces.run(_stream(pair.sender, "flood", pair, str(seconds)))
        return (received(pair) - before) / 1000 / (time.monotonic() - start)


@contextlib.contextmanager
def _listening(pair: Pair, act: str) -> Iterator[subprocess.Popen[str]]:
    """The receiver's program, once it listens."""
    with subprocess.Popen(
        _stream(pair.receiver, act, pair),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as receiver:
        try:
            assert receiver.stdout is not None
            if receiver.stdout.readline() != f"{stream.LISTENS}\n":
                raise LabError("the receiver has ended")
            yield receiver
        finally:
            receiver.kill()


def _stream(namespace: str, act: str, pair: Pair, *rest: str) -> list[str]:
    words = [act, pair.address, str(pairs.PORT), *rest]
    return script.command(namespace, stream.__file__, *words)


def received(pair: Pair) -> int:
    """How many packets the second of a pair has received."""
    path = f"/sys/class/net/{pairs.DEVICE}/statistics/rx_packets"
    return int(namespaces.run(namespaces.inside(pair.receiver, ["cat", path])))


FIGURES = tuple(
    Figure(
        f"{name} between guests{beside}",
        unit,
        partial(_compared, look=look, least=least),
        _GOALS,
    )
    for beside, least in (
        ("", pairs.unfiltered),
        (", tracked", pairs.tracked),
    )
    for name, unit, look in (
        # One connection; small datagrams of another that arrive.
        ("TCP", "Gbit/s", _tcp),
        ("packets", "1000/s", _udp),
    )
)
