"""Values by key: which of them differ, and others in their place."""

from collections.abc import Iterable, Mapping
from itertools import compress, filterfalse
from operator import is_not
from typing import TypeVar

from flatnet.state.sliced_collections import SlicedMap

K = TypeVar("K")
V = TypeVar("V")


def difference(
    before: Mapping[K, V], after: Mapping[K, V]
) -> tuple[Mapping[K, V], tuple[K, ...]]:
    """Return what is other or has come, and the keys of what has gone.

    What is the same object is not compared.
    """
    if before is after:
        return {}, ()
    if isinstance(before, SlicedMap) and isinstance(after, SlicedMap):
        return after.differing(before)
    put = {
        key: value
        for key, value in _others(before, after)
        if before.get(key) != value
    }
    return put, tuple(filterfalse(after.__contains__, before))


def differing(before: Mapping[K, V], after: Mapping[K, V]) -> set[K]:
    """Return the keys of what is other, has come or has gone."""
    put, gone = difference(before, after)
    return {*put, *gone}


def renewed(
    before: Mapping[K, V], covered: Iterable[K], new: Mapping[K, V]
) -> Mapping[K, V]:
    """Return values with new ones in the place of those that were covered.

    It is the same mapping where nothing differs.
    """
    if isinstance(before, SlicedMap):
        return before.changed(new, covered)
    gone = [key for key in covered if key in before and key not in new]
    other = {
        key: value
        for key, value in _others(before, new)
        if before.get(key) != value
    }
    if not gone and not other:
        return before
    found = {**before, **other}
    for key in gone:
        del found[key]
    return found


def _others(
    before: Mapping[K, V], after: Mapping[K, V]
) -> Iterable[tuple[K, V]]:
    """What is another object than before: of a thousand nearly nothing."""
    differ = map(is_not, map(before.get, after), after.values())
    return compress(after.items(), differ)
