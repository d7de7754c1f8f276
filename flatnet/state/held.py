"""What many put into shared things: sets, and whatever is like them.

A thing holds an element as long as somebody puts it there.  Who does is
remembered, so that nothing is ever counted.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from flatnet.state.sliced import SlicedSet


class Held:
    """Elements of things, each with the keys that put it there."""

    def __init__(self) -> None:
        # Nearly always one key; a set of one takes four times as much.
        self._held: dict[Hashable, dict[Hashable, tuple[str, ...]]] = {}
        # As they were told last, and what came or went since.
        self._told: dict[Hashable, SlicedSet[Any]] = {}
        self._since: dict[Hashable, set[Hashable]] = defaultdict(set)

    def join(self, thing: Hashable, element: Hashable, key: str) -> None:
        """Have a key put an element there, which it did not before."""
        elements = self._held.setdefault(thing, {})
        keys = elements.get(element, ())
        if not keys:
            self._touch(thing, element)
        elements[element] = (*keys, key)

    def leave(self, thing: Hashable, element: Hashable, key: str) -> None:
        """Have a key put an element there no more."""
        keys = self._held[thing][element]
        if left := tuple(each for each in keys if each != key):
            self._held[thing][element] = left
            return
        self._touch(thing, element)
        del self._held[thing][element]
        if not self._held[thing]:
            del self._held[thing]
            # Nobody may ever ask again for what holds nothing.
            self._told.pop(thing, None)
            self._since.pop(thing, None)

    def _touch(self, thing: Hashable, element: Hashable) -> None:
        if thing in self._told:
            self._since[thing].add(element)

    def holders(self, thing: Hashable, element: Hashable) -> frozenset[str]:
        """The keys that put an element there."""
        return frozenset(self._held.get(thing, {}).get(element, ()))

    def elements(self, thing: Hashable) -> frozenset[Any]:
        """All that a thing holds."""
        return frozenset(self._held.get(thing, ()))

    def view(self, thing: Hashable) -> AbstractSet[Any]:
        """All that a thing holds, as it is until something is put again."""
        return self._held.get(thing, {}).keys()

    def sliced(self, thing: Hashable) -> SlicedSet[Any]:
        """All that a thing holds; where it is as before, the same object."""
        known = self._told.get(thing)
        since = self._since.pop(thing, set())
        held = self._held.get(thing, {})
        if known is None:
            known = SlicedSet(held)
        elif since:
            new = {each for each in since if each in held}
            known = known.changed(new, since - new)
        if held:
            self._told[thing] = known
        return known

    def holds(self, thing: Hashable) -> bool:
        """Whether it holds anything."""
        return thing in self._held

    @property
    def things(self) -> Mapping[Any, object]:
        """All that hold anything."""
        return self._held
