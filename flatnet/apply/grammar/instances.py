"""What is wrong with single instances of a plan, and who they are."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

from flatnet.state.changes import Failure
from flatnet.state.effects import Subject, Surface
from flatnet.state.plan import Plan

T = TypeVar("T")


class Passed:
    """The parts that passed a check, each by what was checked.

    They are frozen, so that the same object need not be checked again.  Those
    of one plan are kept until the next one; an odd one is never among them.
    """

    def __init__(self) -> None:
        self._before: dict[object, dict[int, object]] = {}
        self._now: dict[object, dict[int, object]] = defaultdict(dict)

    def begin(self) -> None:
        """Forget what was not checked since the last call."""
        self._before, self._now = dict(self._now), defaultdict(dict)

    def others(self, parts: tuple[T, ...], check: object) -> list[T]:
        """Return those that have not passed a check yet."""
        before, now = self._before.get(check, {}), self._now[check]
        if before.get(id(parts)) is parts:
            # All of them passed together.
            now.update(zip(map(id, parts), parts, strict=True))
            now[id(parts)] = parts
            return []
        found = []
        for part in parts:
            if before.get(id(part)) is part:
                now[id(part)] = part
            else:
                found.append(part)
        return found

    def note(self, part: object, check: object) -> None:
        """Note that one passed a check."""
        self._now[check][id(part)] = part


class Instances:
    """What was found to be wrong with instances, each told once."""

    def __init__(self, plan: Plan, passed: Passed) -> None:
        self._passed = passed
        self._plan = plan
        self._failures: dict[Failure, None] = {}

    @cached_property
    def _holders(self) -> Mapping[str, set[str]]:
        found = defaultdict(set)
        for bridge in self._plan.bridges:
            for port in bridge.ports:
                for key in (port.mac, *port.addresses):
                    found[key].add(port.instance_uuid)
        return found

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What was noted, in order."""
        return tuple(self._failures)

    def kept(
        self,
        parts: tuple[T, ...],
        check: Callable[[T], None],
        named: Callable[[T], Failure],
    ) -> tuple[T, ...]:
        """Return those parts that pass the check; the others fail alone."""
        odd = {id(part) for part in self._odd(parts, check, named)}
        if not odd:
            self._passed.note(parts, check)
            return parts
        return tuple(part for part in parts if id(part) not in odd)

    def mended(
        self,
        parts: tuple[T, ...],
        check: Callable[[T], None],
        named: Callable[[T], Failure],
        mend: Callable[[T], T],
    ) -> tuple[T, ...]:
        """Return the parts, those mended that fail, and alone."""
        odd = {id(part): mend(part) for part in self._odd(parts, check, named)}
        if not odd:
            self._passed.note(parts, check)
            return parts
        return tuple(odd.get(id(part), part) for part in parts)

    def require(
        self, parts: tuple[T, ...], check: Callable[[T], None]
    ) -> None:
        """Check parts of which none may fail.

        :raises ValueError: one does
        """
        for part in self._passed.others(parts, check):
            check(part)
            self._passed.note(part, check)
        self._passed.note(parts, check)

    def _odd(
        self,
        parts: tuple[T, ...],
        check: Callable[[T], None],
        named: Callable[[T], Failure],
    ) -> list[T]:
        odd = []
        for part in self._passed.others(parts, check):
            try:
                check(part)
            except ValueError as error:
                failure = named(part)
                text = f"{error}: {failure.message}"
                self.fail(replace(failure, message=text))
                odd.append(part)
            else:
                self._passed.note(part, check)
        return odd

    def fail(self, failure: Failure) -> None:
        """Note a failure, once."""
        self._failures[failure] = None

    def holding(self, *keys: str) -> tuple[str, ...]:
        """The instances that have one of these MACs and addresses."""
        found = (self._holders.get(key, set()) for key in keys)
        return tuple(sorted(set().union(*found)))


def subject(surface: Surface, name: str) -> Subject:
    """Name a part in a failure, on one line and not at length."""
    return Subject(surface, ascii(name)[1:-1][:60])
