"""What many put into shared things: sets, and whatever is like them.

A thing holds an element as long as somebody puts it there.  Who does is
remembered, so that nothing is ever counted.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from flatnet.state.sliced_collections import SlicedSet

_Keys = str | tuple[str, ...]


class Held:
    """Elements of things, each with the keys that put it there."""

    def __init__(self) -> None:
        # Nearly always one key, which stands for itself: there are twenty
        # elements of each guest.
        self._held: dict[Hashable, dict[Hashable, _Keys]] = {}
        # As they were told last, and what came or went since.
        self._told: dict[Hashable, SlicedSet[Any]] = {}
        self._since: dict[Hashable, set[Hashable]] = defaultdict(set)

    def join(self, thing: Hashable, element: Hashable, key: str) -> None:
        """Have a key put an element there, which it did not before."""
        elements = self._held.setdefault(thing, {})
        known = elements.get(element)
        if known is None:
            self._touch(thing, element)
            elements[element] = key
        else:
            elements[element] = (*_each(known), key)

    def leave(self, thing: Hashable, element: Hashable, key: str) -> None:
        """Have a key put an element there no more."""
        known = _each(self._held[thing][element])
        if left := tuple(each for each in known if each != key):
            self._held[thing][element] = left if len(left) > 1 else left[0]
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
        return frozenset(_each(self._held.get(thing, {}).get(element, ())))

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


def _each(keys: _Keys) -> tuple[str, ...]:
    return (keys,) if isinstance(keys, str) else keys
