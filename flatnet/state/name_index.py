"""Values of sequences by their names, known with the sequences they are of.

Who composes a plan knows who came and who went, and need not go through a
thousand to know them by name.  They are held against the plan's sequences by
identity, so that a plan with others never has the names of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import is_
from typing import Generic, Protocol, TypeVar

from flatnet.state.sliced_collections import SlicedMap


class _HasName(Protocol):
    @property
    def name(self) -> str: ...


V = TypeVar("V", bound=_HasName)


@dataclass(frozen=True, slots=True)
class NameIndex(Generic[V]):
    """The `values` of some sequences by name."""

    of: tuple[tuple[V, ...], ...]
    values: SlicedMap[str, V]

    def are_of(self, of: Sequence[tuple[V, ...]]) -> bool:
        """Whether it is of just these very sequences."""
        return len(self.of) == len(of) and all(map(is_, self.of, of))

    @property
    def is_whole(self) -> bool:
        """Whether it has all of them: of namesakes it has one."""
        return sum(map(len, self.of)) == len(self.values)


def named(
    known: NameIndex[V] | None, of: Sequence[tuple[V, ...]]
) -> SlicedMap[str, V]:
    """Return the values of sequences by name; of namesakes the last."""
    if known is not None and known.are_of(of) and known.is_whole:
        return known.values
    return SlicedMap({each.name: each for those in of for each in those})


def amended(
    known: NameIndex[V] | None, of: Sequence[tuple[V, ...]]
) -> NameIndex[V] | None:
    """Return those of other sequences, most of whose values are the same."""
    if known is None or known.are_of(of):
        return known
    if not known.is_whole:
        return None
    old, new = (
        {id(each): each for those in sequences for each in those}
        for sequences in (known.of, of)
    )
    gone = [each.name for key, each in old.items() if key not in new]
    came = {e.name: e for key, e in new.items() if key not in old}
    return NameIndex(tuple(of), known.values.changed(came, gone))
