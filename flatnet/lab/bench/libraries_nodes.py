"""The nodes of `libraries`, as many as hosts that it is compared with."""

import sys
from collections.abc import Sequence

from flatnet.lab.bench import libraries, rows
from flatnet.lab.bench.calling import Callers, Calls
from flatnet.lab.bench.effort import Effort
from flatnet.lab.bench.floor_node import started
from flatnet.lab.server_process import LabProcess
from flatnet.lab.spec import MOST_NODES, LabSpec, NodeSpec


class Libraries:
    """The servers, each of which is started when it is asked first."""

    def __init__(
        self, spec: LabSpec, callers: Callers, effort: Effort
    ) -> None:
        self._spec, self._callers, self._effort = spec, callers, effort
        self._servers: list[LabProcess] = []

    def milliseconds(
        self, *acts: str, held: int, hosts: int = 1
    ) -> tuple[float, ...]:
        """The medians of acts of `libraries`, one act after the other.

        :param held: how many guests each host has before
        :param hosts: how many are asked at the same time
        """
        topics = ",".join(self._topic(number) for number in range(hosts))

        def done(act: str, values: Sequence[object]) -> Calls:
            calls = [{"act": act, "value": value} for value in values]
            return self._callers.at_once(topics, "do", calls, hosts)

        done("hold", [held] * hosts)
        names = [rows.new_uuid() for _ in range(self._effort.calls * hosts)]
        return tuple(done(act, names).p50 for act in acts)

    def close(self) -> None:
        """End them all."""
        for each in self._servers:
            each.kill()

    def _topic(self, number: int) -> str:
        """That of a server, which is started if it is not there yet."""
        topic = f"libraries{number}"
        if number == len(self._servers):
            # Next to the floor's own, which is the last.
            spec = NodeSpec(lab=self._spec, number=MOST_NODES - 1 - number)
            command = [sys.executable, "-m", libraries.__name__, topic]
            self._servers.append(started(spec, command, libraries.SERVING))
        return topic
