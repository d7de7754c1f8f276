"""Sets and mappings of very many, whose versions tell at once how they differ.

They are kept in slices, by the hashes of what they hold.  A version that is
made of another shares with it each slice in which nothing is another, so that
two are compared by slices, and by what is in those few that are not shared.
What a function makes of a slice is remembered with it.

They are never changed.  Hashes are those of one process, and so are slices.
"""

from collections.abc import (
    Callable,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    ValuesView,
)
from collections.abc import Set as AbstractSet
from itertools import chain, compress
from operator import is_not
from typing import Any, TypeVar, cast

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T", bound=Hashable)
Made = TypeVar("Made")

_SLICES = 256
# Of so many one slice is cheaper than all the others.
_FEW = 512


class SetSlice(frozenset[Any]):
    """A slice of a set, and what was made of it, by who makes it."""

    __slots__ = ("made",)
    made: dict[Any, Any]


class MapSlice(dict[Any, Any]):
    """A slice of a mapping; else as of a set."""

    __slots__ = ("made",)
    made: dict[Any, Any]


_NOTHING = MapSlice()


def _of_slice(part: SetSlice | MapSlice, make: Callable[[Any], Made]) -> Made:
    try:
        made = part.made
    except AttributeError:
        made = part.made = {}
    if make not in made:
        made[make] = make(part)
    return cast(Made, made[make])


def _places(keys: Iterable[T]) -> dict[int, list[T]]:
    found: dict[int, list[T]] = {}
    for key in keys:
        found.setdefault(hash(key) % _SLICES, []).append(key)
    return found


class SlicedSet(AbstractSet[T]):
    """A set in slices; the difference of two is a set as any other."""

    __slots__ = ("_count", "slices")

    def __init__(self, elements: Iterable[T] = ()) -> None:
        found = frozenset(elements)
        self._count = len(found)
        if self._count < _FEW:
            self.slices: tuple[SetSlice, ...] = (SetSlice(found),)
            return
        places = _places(found)
        self.slices = tuple(
            SetSlice(places.get(place, ())) for place in range(_SLICES)
        )

    def changed(
        self, new: AbstractSet[T], gone: AbstractSet[T]
    ) -> "SlicedSet[T]":
        """Return the set with some that come to it, and without others."""
        new = {each for each in new if each not in self}
        gone = {each for each in gone if each in self}
        if not new and not gone:
            return self
        count = self._count + len(new) - len(gone)
        if len(self.slices) == 1 or count < _FEW:
            return SlicedSet((frozenset(self) - gone) | new)
        found = SlicedSet[T]()
        slices = list(self.slices)
        for place, mine in _places(new | gone).items():
            part = slices[place].difference(gone)
            slices[place] = SetSlice(part | new.intersection(mine))
        found.slices, found._count = tuple(slices), count
        return found

    def of_slices(
        self, make: Callable[[AbstractSet[T]], Made]
    ) -> Iterator[tuple[AbstractSet[T], Made]]:
        """Each slice with anything in it, and what a function makes of it.

        It is made once for each.
        """
        return ((part, _of_slice(part, make)) for part in self.slices if part)

    def __contains__(self, element: object) -> bool:
        place = hash(element) % len(self.slices)
        return element in self.slices[place]

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self.slices)

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        if isinstance(other, SlicedSet):
            return self.slices == other.slices
        return frozenset(self) == other

    def __hash__(self) -> int:
        return hash(frozenset(self))

    def __sub__(self, other: AbstractSet[Any]) -> frozenset[T]:
        if not isinstance(other, SlicedSet):
            return frozenset(self).difference(other)
        if len(self.slices) != len(other.slices):
            return frozenset(self).difference(*other.slices)
        pairs = zip(self.slices, other.slices, strict=True)
        found = (a - b for a, b in pairs if a is not b)
        return frozenset(chain.from_iterable(found))

    def __rsub__(self, other: AbstractSet[Any]) -> frozenset[T]:
        return frozenset(other).difference(*self.slices)


class _Values(ValuesView[Any]):
    _mapping: "SlicedMap[Any, Any]"

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(map(dict.values, self._mapping.slices))


class SlicedMap(Mapping[K, V]):
    """A mapping in slices."""

    __slots__ = ("_count", "slices")

    def __init__(self, items: Mapping[K, V] | None = None) -> None:
        places = _places(items or {})
        self._count = len(items or {})
        self.slices: tuple[MapSlice, ...] = (_NOTHING,) * _SLICES
        if items:
            self.slices = tuple(
                MapSlice((key, items[key]) for key in places.get(place, ()))
                for place in range(_SLICES)
            )

    def changed(
        self, put: Mapping[K, V], dropped: Iterable[K] = ()
    ) -> "SlicedMap[K, V]":
        """Return the mapping with other values, and without some keys.

        What equals what was there is no change, and it stays.
        """
        gone = {key for key in dropped if key in self} - put.keys()
        other = {k: v for k, v in put.items() if k not in self or self[k] != v}
        if not other and not gone:
            return self
        found = SlicedMap[K, V]()
        slices = list(self.slices)
        for place, keys in _places(chain(other, gone)).items():
            part = slices[place] = MapSlice(slices[place])
            part.update((key, other[key]) for key in keys if key in other)
            for key in gone.intersection(keys):
                del part[key]
        found.slices, found._count = tuple(slices), sum(map(len, slices))
        return found

    def differing(
        self, before: "SlicedMap[K, V]"
    ) -> tuple[dict[K, V], tuple[K, ...]]:
        """Return what is another than before, and the keys that are gone."""
        put: dict[K, V] = {}
        gone: list[K] = []
        if self is before:
            return put, ()
        mine, others = self.slices, before.slices
        pairs = zip(mine, others, strict=True)
        for part, old in compress(pairs, map(is_not, mine, others)):
            put.update(
                (key, value)
                for key, value in part.items()
                if (there := old.get(key)) is not value and there != value
            )
            gone += old.keys() - part.keys()
        return put, tuple(gone)

    def of_slices(
        self, make: Callable[[Mapping[K, V]], Made]
    ) -> Iterator[tuple[Mapping[K, V], Made]]:
        """Each slice with anything in it, and what a function makes of it.

        It is made once for each.
        """
        return ((part, _of_slice(part, make)) for part in self.slices if part)

    def values(self) -> ValuesView[V]:
        """All values, without a look for each."""
        return _Values(self)

    def __getitem__(self, key: K) -> V:
        return cast(V, self.slices[hash(key) % _SLICES][key])

    def __contains__(self, key: object) -> bool:
        return key in self.slices[hash(key) % _SLICES]

    def __iter__(self) -> Iterator[K]:
        return chain.from_iterable(self.slices)

    def __len__(self) -> int:
        return self._count


def sliced(items: Mapping[K, V]) -> SlicedMap[K, V]:
    """Return a mapping in slices; one that is already is the same object."""
    return items if isinstance(items, SlicedMap) else SlicedMap(items)
