"""The near end of `flatnet.lab.bench.callers`."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from flatnet.lab import namespaces
from flatnet.lab.daemon import as_user, log_tail
from flatnet.lab.namespaces import LabError

_END_SECONDS = 10.0
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
    def rate(self) -> float:
        """Calls per second, all told."""
        return len(self.seconds) / self.wall


class Callers:
    """A process in the lab that makes calls, as many at once as is said."""

    def __init__(self, *, namespace: str, conf: Path, log: Path) -> None:
        self._log = log
        command = [
            *[sys.executable, "-m", "flatnet.lab.bench.callers"],
            *["--config-file", str(conf)],
        ]
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [*namespaces.inside(namespace, as_user(None)), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

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

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait(_END_SECONDS)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _made(
        self,
        to: str,
        method: str,
        calls: Sequence[dict[str, Any]],
        at_once: int,
        seconds: float,
        least: int,
    ) -> Calls:
        request = {
            "to": to,
            "method": method,
            "calls": list(calls),
            "at_once": at_once,
            "seconds": seconds,
            "least": least,
        }
        answer = self._asked(request)
        if errors := answer["errors"]:
            raise LabError(
                f"{method}: {len(errors)} of {len(calls)} calls failed: "
                f"{errors[0]}"
            )
        return Calls(
            tuple(answer["seconds"]), answer["wall"], tuple(answer["answers"])
        )

    def _asked(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise LabError(f"the callers ended\n{log_tail(self._log)}")
        return json.loads(line)
