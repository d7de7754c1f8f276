"""Address sets, member by member.

Goals, and how each is met:

* What differs is written, and no more.  A set is never replaced as a whole,
  so that rules which name it see it change in place, and a change of one
  member costs one message, however many there are.
* Nothing is open on the way: who leaves is let in nowhere before somebody
  else is let in, and is the last to be taken from the set that shuts him.
* One bad set keeps no other from its members.
"""

import contextlib
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from flatnet.apply.filter.tables import AddressSet
from flatnet.apply.ipset_messages import (
    FoundSet,
    SetError,
    Writer,
    listed,
    names,
)

PREFIX = "flatnet-"
# Rules that named a set are torn down by the kernel after the command that
# removed them returned.
_PATIENCE = 2.0
_PAUSE = 0.02
_REMEMBERED = 1 << 18
Errors = Mapping[str, str]


def read_sets() -> Mapping[str, FoundSet]:
    """Return the sets of ours, by name.

    :raises HostSetupError: the kernel does not tell
    """
    every = names()
    mine = [name for name in every if name.startswith(PREFIX)]
    # Foreign sets may be huge; their names are not.
    return listed(None if len(mine) == len(every) else mine)


@lru_cache(_REMEMBERED)
def packed(address: str) -> bytes:
    """Return an address as a member of a set of the kernel."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_pton(family, address)


def all_packed(addresses: Iterable[str]) -> frozenset[bytes]:
    """Return addresses as members of sets."""
    return frozenset(map(packed, addresses))


@dataclass(frozen=True)
class _Edits:
    """What corrects one set."""

    wanted: AddressSet
    is_new: bool
    gone: frozenset[bytes]
    new: frozenset[bytes]

    @property
    def are_any(self) -> bool:
        return bool(self.is_new or self.gone or self.new)


def write_sets(
    wanted: tuple[AddressSet, ...], existing: Mapping[str, FoundSet]
) -> tuple[tuple[str, ...], Errors]:
    """Make or correct the sets; return changes made, and errors by set.

    Members are added in the order of the sets, and deleted in the other.

    :raises HostSetupError: the kernel is not to be talked to
    """
    errors: dict[str, str] = {}
    edits = []
    for each in wanted:
        try:
            found = _edits(each, existing.get(each.name))
        except ValueError as unusable:
            errors[each.name] = str(unusable)
        else:
            edits += [found] * found.are_any
    if edits:
        with contextlib.closing(Writer()) as writer:
            _write(writer, edits, errors)
    return tuple(
        f"ipset: wrote set {each.wanted.name}"
        for each in edits
        if each.wanted.name not in errors
    ), errors


def _write(
    writer: Writer, edits: list[_Edits], errors: dict[str, str]
) -> None:
    closing = [each for each in edits if each.wanted.closes]
    others = [each for each in edits if not each.wanted.closes]

    def create(each: _Edits) -> None:
        if each.is_new:
            writer.create(each.wanted.name, each.wanted.family)

    def delete(each: _Edits) -> None:
        writer.delete(each.wanted.name, each.gone)

    def add(each: _Edits) -> None:
        writer.add(each.wanted.name, each.new)

    phases: tuple[tuple[Callable[[_Edits], None], Iterable[_Edits]], ...] = (
        (create, edits),
        (delete, reversed(others)),
        (add, (*closing, *others)),
        (delete, closing),
    )
    for change, of in phases:
        for each in of:
            try:
                change(each)
            except SetError as error:
                errors.setdefault(each.wanted.name, str(error))


def remove_sets(
    wanted: tuple[AddressSet, ...], existing: Mapping[str, FoundSet]
) -> tuple[tuple[str, ...], Errors]:
    """Remove what is ours and not planned; return as for `write_sets`."""
    gone = sorted(existing.keys() - {each.name for each in wanted})
    if not gone:
        return (), {}
    made: list[str] = []
    errors: dict[str, str] = {}
    deadline = time.monotonic() + _PATIENCE
    with contextlib.closing(Writer()) as writer:
        for name in gone:
            try:
                _destroy(writer, name, deadline)
            except SetError as error:
                errors[name] = str(error)
            else:
                made.append(f"ipset: removed set {name}")
    return tuple(made), errors


def _destroy(writer: Writer, name: str, deadline: float) -> None:
    while True:
        try:
            return writer.destroy(name)
        except SetError as error:
            if not error.is_busy or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE)


def _edits(wanted: AddressSet, existing: FoundSet | None) -> _Edits:
    """Return what corrects one set.

    :raises ValueError: what is there cannot be used
    """
    members = all_packed(wanted.members)
    if existing is None:
        return _Edits(wanted, True, frozenset(), members)
    if existing.family != wanted.family:
        raise ValueError(
            "a set of another type has this name: remove the rules that name "
            f"it, then: ipset destroy {wanted.name}"
        )
    gone, new = existing.members - members, members - existing.members
    return _Edits(wanted, False, gone, new)
