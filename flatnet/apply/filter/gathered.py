"""What many parts put into shared things: sets, and whatever is like them.

A thing holds an element as long as somebody puts it there.  Who puts what is
remembered by key, so that a part that changes costs its own elements, and
nothing is ever counted.
"""

from collections.abc import Hashable, Iterable, Mapping, Set
from typing import Any


class Gathered:
    """Elements of things by name, each with the keys that put it there."""

    def __init__(self) -> None:
        self._put: dict[str, frozenset[tuple[str, Hashable]]] = {}
        # Nearly always one key; a set of one takes four times as much.
        self._held: dict[str, dict[Hashable, tuple[str, ...]]] = {}
        self._touched: set[str] = set()

    def put(self, key: str, elements: Iterable[tuple[str, Hashable]]) -> None:
        """Have a key put just these (thing, element), and no others."""
        new = frozenset(elements)
        old = self._put.get(key, frozenset())
        for thing, element in old - new:
            self._leave(thing, element, key)
        for thing, element in new - old:
            self._join(thing, element, key)
        if new:
            self._put[key] = new
        else:
            self._put.pop(key, None)

    def holders(self, thing: str, element: Hashable) -> frozenset[str]:
        """The keys that put an element there."""
        return frozenset(self._held.get(thing, {}).get(element, ()))

    def elements(self, thing: str) -> frozenset[Any]:
        """All that a thing holds."""
        return frozenset(self._held.get(thing, ()))

    def view(self, thing: str) -> Set[Any]:
        """All that a thing holds, as it is until something is put again."""
        return self._held.get(thing, {}).keys()

    def holds(self, thing: str) -> bool:
        """Whether it holds anything."""
        return thing in self._held

    @property
    def things(self) -> Mapping[str, object]:
        """All that hold anything, by name."""
        return self._held

    def touched(self) -> frozenset[str]:
        """The things whose elements are others than at the last call."""
        touched, self._touched = frozenset(self._touched), set()
        return touched

    def _join(self, thing: str, element: Hashable, key: str) -> None:
        elements = self._held.setdefault(thing, {})
        keys = elements.get(element, ())
        if not keys:
            self._touched.add(thing)
        elements[element] = (*keys, key)

    def _leave(self, thing: str, element: Hashable, key: str) -> None:
        keys = self._held[thing][element]
        if left := tuple(each for each in keys if each != key):
            self._held[thing][element] = left
            return
        self._touched.add(thing)
        del self._held[thing][element]
        if not self._held[thing]:
            del self._held[thing]
