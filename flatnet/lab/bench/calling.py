"""The near end of `flatnet.lab.bench.callers`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from flatnet.lab.conversation import Conversation
from flatnet.lab.namespaces import LabError

_PROGRAM = "flatnet.lab.bench.callers"
_FOR_EVER = 3600.0


@dataclass(frozen=True)
class Calls:
    """Calls that were made: seconds of each and of all, and the answers."""

    seconds: tuple[float, ...]
    wall: float
    answers: tuple[Any, ...]

    @property
    def p50(self) -> float:
        """Milliseconds that half of the calls took at most."""
        return median(self.seconds) * 1000

    @property
    def p99(self) -> float:
        """Milliseconds that 99 of 100 took at most; of fewer, all."""
        last = math.ceil(len(self.seconds) * 0.99) - 1
        return sorted(self.seconds)[last] * 1000

    @property
    def rate(self) -> float:
        """Calls per second, all told."""
        return len(self.seconds) / self.wall


class Callers:
    """A process in the lab that makes calls, as many at once as is said."""

    def __init__(self, *, namespace: str, conf: Path, log: Path) -> None:
        self._far = Conversation(
            _PROGRAM, "--config-file", str(conf), namespace=namespace, log=log
        )
        self.close = self._far.close

    @property
    def pid(self) -> int:
        return self._far.pid

    def one_by_one(
        self,
        to: str,
        method: str,
        calls: Sequence[dict[str, Any]],
        *,
        seconds: float,
        least: int,
    ) -> Calls:
        """Make one call after the other, for so long.

        :param to: the topic
        :param calls: the arguments of each
        :param seconds: after which no more are made, but `least` are
        :raises LabError: one of them failed
        """
        return self._made(to, method, calls, 1, seconds, least)

    def at_once(
        self, to: str, method: str, calls: Sequence[dict[str, Any]], width: int
    ) -> Calls:
        """Make all calls, `width` of them at any time; errors as above."""
        return self._made(to, method, calls, width, _FOR_EVER, len(calls))

    def _made(
        self,
        to: str,
        method: str,
        calls: Sequence[dict[str, Any]],
        at_once: int,
        seconds: float,
        least: int,
    ) -> Calls:
        question = {
            "to": to,
            "method": method,
            "calls": list(calls),
            "at_once": at_once,
            "seconds": seconds,
            "least": least,
        }
        answer = self._far.ask(question)
        if errors := answer["errors"]:
            raise LabError(
                f"{method}: {len(errors)} of {len(calls)} calls failed: "
                f"{errors[0]}"
            )
        return Calls(
            tuple(answer["seconds"]), answer["wall"], tuple(answer["answers"])
        )
