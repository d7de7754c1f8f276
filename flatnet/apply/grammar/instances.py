"""What is wrong with single instances of a plan, and who they are."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

from flatnet.apply.sequence_diff import middle
from flatnet.state.changes import Failure
from flatnet.state.effects import Subject, Surface
from flatnet.state.plan import Plan

T = TypeVar("T")
# Parts that are held though no plan has them.
_FEW = 1000


class Passed:
    """The parts that passed a check, each by what was checked.

    They are frozen, so that the same object need not be checked again; and
    held, so that nothing else gets its identity.  Most stand where they stood
    in the plan before, and are not even looked at.  Once most of those that
    are held are of no plan any more, all of them are let go.
    """

    def __init__(self) -> None:
        self._held: dict[object, dict[int, object]] = defaultdict(dict)
        # What was checked in one plan, in turn; nothing where parts failed.
        self._before: dict[object, list[tuple[object, ...]]] = {}
        self._now: dict[object, list[tuple[object, ...]]] = defaultdict(list)
        # The last plan that none of the host's own was wrong in, and what it
        # became.
        self.whole: tuple[Plan, tuple[Plan, tuple[Failure, ...]]] | None = None

    def begin(self) -> None:
        """Begin with another plan."""
        for check, held in self._held.items():
            if len(held) > 2 * sum(map(len, self._now[check])) + _FEW:
                held.clear()
        self._before, self._now = self._now, defaultdict(list)

    def failing(
        self, parts: tuple[T, ...], check: Callable[[T], None]
    ) -> list[tuple[T, ValueError]]:
        """Check parts; return those that fail, each with its error."""
        held, failed = self._held[check], []
        turn = len(self._now[check])
        last = self._before.get(check, [])[turn : turn + 1]
        _, came = middle(last[0] if last else (), parts)
        for part in parts[came]:
            if id(part) in held:
                continue
            try:
                check(part)
            except ValueError as error:
                failed.append((part, error))
            else:
                held[id(part)] = part
        self._now[check].append(() if failed else parts)
        return failed


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
                for address in port.addresses:
                    found[address].add(port.instance_uuid)
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
            return parts
        return tuple(odd.get(id(part), part) for part in parts)

    def require(
        self, parts: tuple[T, ...], check: Callable[[T], None]
    ) -> None:
        """Check parts of which none may fail.

        :raises ValueError: one does
        """
        for _, error in self._passed.failing(parts, check):
            raise error

    def _odd(
        self,
        parts: tuple[T, ...],
        check: Callable[[T], None],
        named: Callable[[T], Failure],
    ) -> list[T]:
        odd = []
        for part, error in self._passed.failing(parts, check):
            failure = named(part)
            text = f"{error}: {failure.message}"
            self.fail(replace(failure, message=text))
            odd.append(part)
        return odd

    def fail(self, failure: Failure) -> None:
        """Note a failure, once."""
        self._failures[failure] = None

    def holding(self, *addresses: str) -> tuple[str, ...]:
        """The instances that have one of these addresses."""
        found = (self._holders.get(each, set()) for each in addresses)
        return tuple(sorted(set().union(*found)))


def subject(surface: Surface, name: str) -> Subject:
    """Name a part in a failure, on one line and not at length."""
    return Subject(surface, ascii(name)[1:-1][:60])
