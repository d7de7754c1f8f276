"""What was read last, so that the same is not made into values again.

Rows are read each time, for a database tells of no changes; but most answer
what they answered before, and telling that costs a fraction of what it takes
to make values of them, and of all that would be made of these.  Answers are
kept encoded: their rows would be more than all that is made of them.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from msgspec.msgpack import encode

from flatnet.db.models import AnyRow

R = TypeVar("R")
T = TypeVar("T")


class RowCache:
    """What was made of answers, by name; one reader's.

    Answers are lists and tuples of what columns hold, see `plain`.
    """

    def __init__(self) -> None:
        self._made: dict[str, tuple[bytes, Any]] = {}
        self._each: dict[str, dict[bytes, Any]] = {}
        self._same: dict[str, Any] = {}

    def made(self, name: str, answer: object, make: Callable[[], T]) -> T:
        """Return what `make` makes of an answer, the last one's if equal."""
        text = encode(answer)
        last, value = self._made.get(name, (b"", None))
        if last != text:
            value = make()
            self._made[name] = text, value
        found: T = value
        return found

    def each(
        self,
        name: str,
        rows: Iterable[tuple[object, R]],
        make: Callable[[R], T],
    ) -> tuple[T, ...]:
        """Return what `make` makes of each row, or made of it the last time.

        :param rows: with all that is made of them, each once
        """
        last = self._each.get(name, {})
        now: dict[bytes, T] = {}
        for answer, row in rows:
            value = last.get(text := encode(answer))
            now[text] = make(row) if value is None else value
        self._each[name] = now
        return tuple(now.values())

    def same(self, name: str, value: T) -> T:
        """Return a value, the last one if equal."""
        if self._same.get(name) != value:
            self._same[name] = value
        found: T = self._same[name]
        return found


def plain(rows: Iterable[AnyRow]) -> list[tuple[Any, ...]]:
    """Return rows as tuples."""
    return list(map(tuple, rows))


def intern_or_none(text: str | None) -> str | None:
    """Return the one object of all equal texts, as many rows say the same."""
    return None if text is None else sys.intern(text)
