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
* What somebody else's rule names stays, empty, as chains of ours do.
"""

import contextlib
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import lru_cache

from flatnet.apply.filter.iptables.ipset_messages import (
    FoundSet,
    SetError,
    SetSocket,
    Told,
    found_set,
    listed,
    names,
)
from flatnet.apply.filter.iptables.tables import AddressSet
from flatnet.apply.netlink import KeptSocket

PREFIX = "flatnet-"
# Rules that named a set are torn down by the kernel after the command that
# removed them returned.
_PATIENCE = 2.0
_PAUSE = 0.02
_REMEMBERED = 1 << 18
Errors = Mapping[str, str]


def read_sets(asking: KeptSocket) -> Mapping[str, FoundSet]:
    """Return the sets of ours, by name.

    :raises HostSetupError: the kernel does not tell
    """
    told = told_sets(asking)
    return {name: found_set(name, each) for name, each in told.items()}


def told_sets(asking: KeptSocket) -> Mapping[str, Told]:
    """Return what the kernel says of them; errors as for `read_sets`."""
    every = names(asking)
    mine = [name for name in every if name.startswith(PREFIX)]
    # Foreign sets may be huge; their names are not.
    return listed(None if len(mine) == len(every) else mine, asking)


@lru_cache(_REMEMBERED)
def packed(address: str) -> bytes:
    """Return an address, or a network, as a member of a set of the kernel."""
    ip, _, prefix = address.partition("/")
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    return socket.inet_pton(family, ip) + bytes(map(int, prefix.split()))


def unpacked(member: bytes) -> str:
    """Return a member that is one address as text; of a network, nothing."""
    families = {4: socket.AF_INET, 16: socket.AF_INET6}
    family = families.get(len(member))
    return socket.inet_ntop(family, member) if family else ""


def all_packed(addresses: Iterable[str]) -> frozenset[bytes]:
    """Return addresses as members of sets."""
    return frozenset(map(packed, addresses))


@dataclass(frozen=True)
class SetEdits:
    """What corrects one set: members that are to go, and that are to come."""

    wanted: AddressSet
    is_new: bool
    gone: AbstractSet[bytes]
    new: AbstractSet[bytes]

    def create(self, kernel: SetSocket) -> None:
        """Make the set; errors as of `SetSocket`."""
        kernel.create(self.wanted.name, self.wanted.family)

    def delete(self, kernel: SetSocket) -> None:
        """Take away what is to go."""
        kernel.delete(self.wanted.name, self.gone)

    def add(self, kernel: SetSocket) -> None:
        """Add what is to come."""
        kernel.add(self.wanted.name, self.new)


Written = tuple[frozenset[str], Errors]
_Steps = Iterable[tuple[SetEdits, Callable[[SetSocket], None]]]


def differences(
    wanted: tuple[AddressSet, ...], existing: Mapping[str, FoundSet]
) -> tuple[tuple[SetEdits, ...], Errors]:
    """Return what corrects each set, in order, and errors by set.

    Of what cannot be used there is an error and nothing else.
    """
    edits, errors = [], {}
    for each in wanted:
        try:
            edits.append(_edits(each, existing.get(each.name)))
        except ValueError as unusable:
            errors[each.name] = str(unusable)
    return tuple(edits), errors


def close_sets(edits: tuple[SetEdits, ...], asking: KeptSocket) -> Written:
    """Make sets, and take from those there are what is let in by them.

    Return the names of those written, and errors by set.

    :param asking: a socket for sets; so for the others
    :raises HostSetupError: the kernel is not to be talked to
    """
    made = [each for each in edits if each.is_new]
    shutting, others = _there(edits)
    return _written(
        (
            *((each, each.create) for each in made),
            *((each, each.delete) for each in reversed(others) if each.gone),
            *((each, each.add) for each in (*shutting, *made) if each.new),
        ),
        asking,
    )


def open_sets(edits: tuple[SetEdits, ...], asking: KeptSocket) -> Written:
    """Give the sets the rest of their members; return as `close_sets` does."""
    shutting, others = _there(edits)
    return _written(
        (
            *((each, each.add) for each in others if each.new),
            *((each, each.delete) for each in shutting if each.gone),
        ),
        asking,
    )


def _there(
    edits: tuple[SetEdits, ...],
) -> tuple[list[SetEdits], list[SetEdits]]:
    """Those of sets that are there: of those that shut, and of the others."""
    there = [each for each in edits if not each.is_new]
    return (
        [each for each in there if each.wanted.closes],
        [each for each in there if not each.wanted.closes],
    )


def _written(steps: _Steps, asking: KeptSocket) -> Written:
    names: set[str] = set()
    errors: dict[str, str] = {}
    steps = list(steps)
    if not steps:
        return frozenset(), errors
    kernel = SetSocket(asking)
    for edits, change in steps:
        name = edits.wanted.name
        names.add(name)
        try:
            change(kernel)
        except SetError as error:
            errors.setdefault(name, str(error))
    return frozenset(names - errors.keys()), errors


@dataclass(frozen=True)
class Removed:
    """What became of sets that are not planned any more.

    `gone` are those that were removed, and `needed` those that stay, without
    members, because rules of somebody else's name them.
    """

    gone: frozenset[str] = frozenset()
    needed: frozenset[str] = frozenset()
    errors: Errors = field(default_factory=dict)


def remove_sets(
    wanted: tuple[AddressSet, ...],
    existing: Mapping[str, FoundSet],
    asking: KeptSocket,
    needed: AbstractSet[str],
) -> Removed:
    """Remove what is ours and not planned.

    :param needed: those that stayed the last time: these are neither waited
        for nor told of again
    :raises HostSetupError: the kernel is not to be talked to
    """
    stale = existing.keys() - {each.name for each in wanted}
    if not stale:
        return Removed()
    errors: dict[str, str] = {}
    staying = set()
    deadline = time.monotonic() + _PATIENCE
    kernel = SetSocket(asking)
    for name in sorted(stale):
        is_known = name in needed
        try:
            _destroy(kernel, name, 0.0 if is_known else deadline)
        except SetError as error:
            if error.is_busy and _is_emptied(kernel, name):
                staying.add(name)
            if not is_known or name not in staying:
                errors[name] = str(error)
    gone = stale - errors.keys() - staying
    return Removed(frozenset(gone), frozenset(staying), errors)


def _is_emptied(kernel: SetSocket, name: str) -> bool:
    with contextlib.suppress(SetError):
        kernel.flush(name)
        return True
    return False


def _destroy(kernel: SetSocket, name: str, deadline: float) -> None:
    while True:
        try:
            return kernel.destroy(name)
        except SetError as error:
            if not error.is_busy or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE)


def _edits(wanted: AddressSet, existing: FoundSet | None) -> SetEdits:
    """Return what corrects one set.

    :raises ValueError: what is there cannot be used
    """
    if existing is None:
        return SetEdits(wanted, True, frozenset(), wanted.members)
    if existing.family != wanted.family:
        raise ValueError(
            "a set of another type has this name: remove the rules that name "
            f"it, then: ipset destroy {wanted.name}"
        )
    return SetEdits(
        wanted,
        False,
        existing.members - wanted.members,
        wanted.members - existing.members,
    )
