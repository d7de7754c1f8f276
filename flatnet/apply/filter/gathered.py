"""What parts put into shared things, each part all of its own at once."""

from collections.abc import Hashable, Iterable
from typing import Any

from flatnet.state.held import Held


class Gathered(Held):
    """Remembers what each part puts, so that a change costs its own."""

    def __init__(self) -> None:
        super().__init__()
        self._put: dict[str, frozenset[tuple[str, Hashable]]] = {}
        self._touched: set[Hashable] = set()

    def put(self, key: str, elements: Iterable[tuple[str, Hashable]]) -> None:
        """Have a key put just these (thing, element), and no others."""
        new = frozenset(elements)
        old = self._put.get(key, frozenset())
        for thing, element in old - new:
            self.leave(thing, element, key)
        for thing, element in new - old:
            self.join(thing, element, key)
        if new:
            self._put[key] = new
        else:
            self._put.pop(key, None)

    def touched(self) -> frozenset[Any]:
        """The things whose elements are others than at the last call."""
        touched, self._touched = frozenset(self._touched), set()
        return touched

    def _touch(self, thing: Hashable, element: Hashable) -> None:
        super()._touch(thing, element)
        self._touched.add(thing)
