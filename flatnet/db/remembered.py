"""What was read last, so that the same is not made into values again.

Rows are read each time, for a database tells of no changes; but most answer
what they answered before, and comparing costs a fraction of what it takes to
make values of them, and of all that would be made of these.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from flatnet.db.models import AnyRow

T = TypeVar("T")


class Remembered:
    """What was made of answers, by name; one reader's."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[object, Any]] = {}

    def made(self, name: str, answer: object, make: Callable[[], T]) -> T:
        """Return what `make` makes of an answer, the last one's if equal."""
        last, value = self._made.get(name, (None, None))
        if last is None or last != answer:
            value = make()
            self._made[name] = answer, value
        found: T = value
        return found


def plain(rows: Iterable[AnyRow]) -> list[tuple[Any, ...]]:
    """Return rows as tuples, which compare in a sixth of the time."""
    return list(map(tuple, rows))
