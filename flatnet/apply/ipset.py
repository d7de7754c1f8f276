"""Address sets, member by member.

Goals, and how each is met:

* What differs is written, and no more.  A set is never replaced as a whole,
  so that rules which name it see it change in place, and a change of one
  member costs one message, however many there are.
* Nothing is open on the way.  `close_sets` takes away what lets in, before
  rules are written, and `open_sets` gives it after them, so that nobody
  meets a new member by an old rule or the reverse.  A set that is made meets
  no rule yet and is filled at once.
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
    """Return an address, or a network, as a member of a set of the kernel."""
    ip, _, prefix = address.partition("/")
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    return socket.inet_pton(family, ip) + bytes(map(int, prefix.split()))


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

    def create(self, writer: Writer) -> None:
        writer.create(self.wanted.name, self.wanted.family)

    def delete(self, writer: Writer) -> None:
        writer.delete(self.wanted.name, self.gone)

    def add(self, writer: Writer) -> None:
        writer.add(self.wanted.name, self.new)


Written = tuple[frozenset[str], Errors]
_Steps = Iterable[tuple[_Edits, Callable[[Writer], None]]]


def close_sets(
    wanted: tuple[AddressSet, ...], existing: Mapping[str, FoundSet]
) -> Written:
    """Make sets, and take from those there are what is let in by them.

    Return the names of those written, and errors by set.

    :raises HostSetupError: the kernel is not to be talked to
    """
    edits, errors = _all_edits(wanted, existing)
    made = [each for each in edits if each.is_new]
    there = [each for each in edits if not each.is_new]
    shutting = [each for each in there if each.wanted.closes]
    others = [each for each in there if not each.wanted.closes]
    steps = (
        *((each, each.create) for each in made),
        *((each, each.delete) for each in reversed(others) if each.gone),
        *((each, each.add) for each in (*shutting, *made) if each.new),
    )
    names, refused = _written(steps)
    return names, {**errors, **refused}


def open_sets(
    wanted: tuple[AddressSet, ...], existing: Mapping[str, FoundSet]
) -> Written:
    """Give the sets the rest of their members; return as `close_sets` does.

    What `close_sets` could not use is passed over.
    """
    edits, _ = _all_edits(wanted, existing)
    there = [each for each in edits if not each.is_new]
    shutting = [each for each in there if each.wanted.closes]
    others = [each for each in there if not each.wanted.closes]
    return _written(
        (
            *((each, each.add) for each in others if each.new),
            *((each, each.delete) for each in shutting if each.gone),
        )
    )


def _written(steps: _Steps) -> Written:
    names: set[str] = set()
    errors: dict[str, str] = {}
    steps = list(steps)
    if not steps:
        return frozenset(), errors
    with contextlib.closing(Writer()) as writer:
        for edits, change in steps:
            name = edits.wanted.name
            names.add(name)
            try:
                change(writer)
            except SetError as error:
                errors.setdefault(name, str(error))
    return frozenset(names - errors.keys()), errors


def remove_sets(
    wanted: tuple[AddressSet, ...], existing: Mapping[str, FoundSet]
) -> Written:
    """Remove what is ours and not planned; return as `close_sets` does."""
    gone = existing.keys() - {each.name for each in wanted}
    errors: dict[str, str] = {}
    if not gone:
        return frozenset(), errors
    deadline = time.monotonic() + _PATIENCE
    with contextlib.closing(Writer()) as writer:
        for name in sorted(gone):
            try:
                _destroy(writer, name, deadline)
            except SetError as error:
                errors[name] = str(error)
    return frozenset(gone - errors.keys()), errors


def _destroy(writer: Writer, name: str, deadline: float) -> None:
    while True:
        try:
            return writer.destroy(name)
        except SetError as error:
            if not error.is_busy or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE)


def _all_edits(
    wanted: tuple[AddressSet, ...], existing: Mapping[str, FoundSet]
) -> tuple[list[_Edits], dict[str, str]]:
    """Return what corrects each set, in order, and errors by set."""
    edits, errors = [], {}
    for each in wanted:
        try:
            edits.append(_edits(each, existing.get(each.name)))
        except ValueError as unusable:
            errors[each.name] = str(unusable)
    return edits, errors


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
