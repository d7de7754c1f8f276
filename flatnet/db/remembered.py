"""What was read last, so that the same is not made into values again.

Rows are read each time, for a database tells of no changes; but most answer
what they answered before, and comparing costs a fraction of what it takes to
make values of them, and of all that would be made of these.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from flatnet.db.models import AnyRow

R = TypeVar("R")
T = TypeVar("T")


class Remembered:
    """What was made of answers, by name; one reader's."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[object, Any]] = {}
        self._each: dict[str, dict[Hashable, Any]] = {}

    def made(self, name: str, answer: object, make: Callable[[], T]) -> T:
        """Return what `make` makes of an answer, the last one's if equal."""
        last, value = self._made.get(name, (None, None))
        if last is None or last != answer:
            value = make()
            self._made[name] = answer, value
        found: T = value
        return found

    def each(
        self,
        name: str,
        rows: Iterable[tuple[Hashable, R]],
        make: Callable[[R], T],
    ) -> tuple[T, ...]:
        """Return what `make` makes of each row, or made of it the last time.

        :param rows: with keys that say all that is made of them, each once
        """
        last = self._each.get(name, {})
        now: dict[Hashable, T] = {}
        for key, row in rows:
            value = last.get(key)
            now[key] = make(row) if value is None else value
        self._each[name] = now
        return tuple(now.values())


def plain(rows: Iterable[AnyRow]) -> list[tuple[Any, ...]]:
    """Return rows as tuples, which compare in a sixth of the time."""
    return list(map(tuple, rows))
