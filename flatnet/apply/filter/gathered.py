"""What parts put into shared things, each part all of its own at once."""

import sys
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from flatnet.state.shared_members import Held


class Gathered(Held):
    """Remembers what each part puts, so that a change costs its own."""

    def __init__(self) -> None:
        super().__init__()
        # Thing, element, thing, element...: a third of what a set takes.
        self._put: dict[str, tuple[Any, ...]] = {}
        self._touched: set[Hashable] = set()

    def put(self, key: str, elements: Iterable[tuple[str, Hashable]]) -> None:
        """Have a key put just these (thing, element), and no others."""
        new = frozenset(elements)
        known = self._put.get(key, ())
        old = frozenset(zip(known[::2], known[1::2], strict=True))
        for thing, element in old - new:
            self.leave(thing, element, key)
        for thing, element in new - old:
            self.join(thing, element, key)
        if new:
            self._put[key] = tuple(_flat(new))
        else:
            self._put.pop(key, None)

    def touched(self) -> frozenset[Any]:
        """The things whose elements are others than at the last call."""
        touched, self._touched = frozenset(self._touched), set()
        return touched

    def _touch(self, thing: Hashable, element: Hashable) -> None:
        super()._touch(thing, element)
        self._touched.add(thing)


def _flat(pairs: Iterable[tuple[str, Hashable]]) -> Iterator[Hashable]:
    for thing, element in pairs:
        # The names of things are made anew for each key that puts into them.
        yield sys.intern(thing)
        yield element
