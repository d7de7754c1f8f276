"""What is wrong with single instances of a plan, and who they are."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from flatnet.state import Failure, Plan

T = TypeVar("T")


class Instances:
    """What was found to be wrong with instances, each told once."""

    def __init__(self, plan: Plan) -> None:
        self._failures: dict[Failure, None] = {}
        self._holders: dict[str, set[str]] = {}
        for bridge in plan.bridges:
            for port in bridge.ports:
                for key in (port.mac, *port.addresses):
                    holders = self._holders.setdefault(key, set())
                    holders.add(port.instance_uuid)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What was noted, in order."""
        return tuple(self._failures)

    def kept(
        self,
        parts: Iterable[T],
        check: Callable[[T], None],
        named: Callable[[T], Failure],
    ) -> tuple[T, ...]:
        """Return those parts that pass the check; the others fail alone."""
        sound = []
        for part in parts:
            try:
                check(part)
            except ValueError as error:
                failure = named(part)
                text = f"{error}: {failure.message}"
                self.fail(replace(failure, message=text))
            else:
                sound.append(part)
        return tuple(sound)

    def fail(self, failure: Failure) -> None:
        """Note a failure, once."""
        self._failures[failure] = None

    def holding(self, *keys: str) -> tuple[str, ...]:
        """The instances that have one of these MACs and addresses."""
        found = (self._holders.get(key, set()) for key in keys)
        return tuple(sorted(set().union(*found)))


def subject(kind: str, name: str) -> str:
    """Name a part in a failure, on one line and not at length."""
    return f"{kind} {ascii(name)[1:-1][:60]}"
