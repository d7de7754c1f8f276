"""Values by key: which of them differ, and others in their place."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def differing(before: Mapping[K, V], after: Mapping[K, V]) -> set[K]:
    """Return the keys of what is other, has come or has gone.

    What is the same object is not compared.
    """
    if before is after:
        return set()
    found = {
        key
        for key, value in after.items()
        if (known := before.get(key)) is not value and known != value
    }
    return found | (before.keys() - after.keys())


def renewed(
    before: Mapping[K, V], covered: Iterable[K], new: Mapping[K, V]
) -> Mapping[K, V]:
    """Return values with new ones in the place of those that were covered.

    It is the same mapping where nothing differs.
    """
    gone = [key for key in covered if key in before and key not in new]
    other = {k: value for k, value in new.items() if before.get(k) != value}
    if not gone and not other:
        return before
    found = {**before, **other}
    for key in gone:
        del found[key]
    return found
