"""Addresses that go to another port that is there already, or to none.

What the last holder of an address began is tracked, and passes as
established: the next one would be sent its answers.  Of a port that is about
to be made that is forgotten before it is (see `connections.conntrack`); where
the port is there, its address is kept from it until it was: the guard takes
it from the last holder, connections are cut, and then the guard lets the next
one have it.  Where a port loses it and stays they are forgotten too, for
whoever lists connections takes them for a guest's.  What is left of those
harms nobody: who is given the address waits for them.

Where a port goes it depends on why.  Of a guest that is no more all are
forgotten; of one that goes on elsewhere what this host has no part in any more
(see `connections.released`).

Given up: where guests may use any address the guard knows of no holders.  What
a guest began whose port goes without a word of rows, or in a pass that dies
right then, stays until it times out or its address is given again.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from flatnet.apply.filter.guard import nft_keys
from flatnet.apply.filter.guard.bridge_rules import SET_KEYS
from flatnet.apply.filter.guard.nft import FoundTable, NftTable
from flatnet.apply.filter.guard.nft_elements import Change
from flatnet.apply.filter.guard.nft_keys import Element
from flatnet.state.changes import Changes

# The sets of (port, address), and that of ports.
_HOLDERS, _PORTS = ("ipv4", "ipv6"), "ports"
Wanted = Mapping[NftTable, tuple[Change, ...]]


def nobody(_addresses: frozenset[str]) -> Changes:
    """Cut nothing: for who puts back what was there, and moves no address."""
    return Changes()


@dataclass(frozen=True)
class Parted:
    """The ports that go in a pass, by name: whose guests are no more, and
    whose `moved`.

    `release` forgets of some addresses what this host has no part in.
    """

    died: Container[str] = ()
    moved: Container[str] = ()
    release: Callable[[frozenset[str]], Changes] = nobody


NOBODY = Parted()


class Handovers:
    """Those of one pass: who was asked for, and what came of it."""

    def __init__(
        self,
        cut: Callable[[frozenset[str]], Changes],
        parted: Parted = NOBODY,
    ) -> None:
        """`cut` forgets all connections of some addresses."""
        self._cut = cut
        self._parted = parted
        self._asked: frozenset[str] = frozenset()
        self._kept: frozenset[str] = frozenset()
        self._left: frozenset[str] = frozenset()
        self._moved: frozenset[str] = frozenset()
        self.done: tuple[Changes, ...] = ()

    @property
    def are_kept(self) -> bool:
        """Whether a port lacks an address, whose connections are there."""
        return bool(self._kept)

    def coming(
        self, wanted: Wanted, found: Mapping[NftTable, FoundTable]
    ) -> frozenset[str]:
        """Return the addresses that come to ports which are there already.

        :param found: the tables as they are
        """
        return frozenset(
            address
            for table, changes in wanted.items()
            for port, address in _coming(changes, found[table])
        ).difference(self._asked)

    def ask(self, addresses: frozenset[str]) -> None:
        """Have their connections cut, once nobody uses them any more."""
        if not addresses:
            return
        self._asked |= addresses
        done = self._cut(addresses)
        self._kept |= done.uncut & addresses
        self.done = *self.done, done

    def note(self, wanted: Wanted) -> None:
        """Note which addresses ports lose, that stay or go."""
        by_port, gone = _leaving(wanted)
        for port, addresses in by_port.items():
            if port in self._parted.moved:
                self._moved |= addresses
            elif port not in gone or port in self._parted.died:
                self._left |= addresses

    def forget(self) -> None:
        """Have connections of these forgotten, now that nobody uses them.

        It is nobody's failure where they are not.
        """
        for cut, addresses in (
            (self._cut, self._left),
            (self._parted.release, self._moved),
        ):
            if not addresses:
                continue
            done = cut(addresses)
            left = tuple(str(each) for each in done.failures)
            told = replace(done, failures=(), uncut=frozenset(), warnings=left)
            self.done = *self.done, told

    def without_kept(self, wanted: Wanted) -> Wanted:
        """Return changes by which nobody gets what could not be cut."""
        return without(wanted, self._kept)


def _leaving(
    wanted: Wanted,
) -> tuple[Mapping[str, frozenset[str]], frozenset[str]]:
    """The addresses that ports lose and no other gets, and those that go."""
    went, came, gone = set[Element](), set[str](), set[str]()
    for changes in wanted.values():
        for change in changes:
            if change.set in _HOLDERS:
                went |= change.removed
                came.update(address for _, address in change.added)
            elif change.set == _PORTS:
                gone.update(port for (port,) in change.removed)
    left: dict[str, frozenset[str]] = {}
    for port, address in went:
        if address not in came:
            left[port] = left.get(port, frozenset()) | {address}
    return left, frozenset(gone)


def without(wanted: Wanted, addresses: frozenset[str]) -> Wanted:
    """Return changes by which no port gets one of these addresses."""
    if not addresses:
        return wanted
    return {
        table: tuple(_less(each, addresses) for each in changes)
        for table, changes in wanted.items()
    }


def _less(change: Change, addresses: frozenset[str]) -> Change:
    if change.set not in _HOLDERS:
        return change
    added = (each for each in change.added if each[1] not in addresses)
    return replace(change, added=frozenset(added))


def _coming(changes: Iterable[Change], found: FoundTable) -> Iterator[Element]:
    """Yield (port, address) of what comes to ports that are known here."""
    for change in changes:
        if change.set not in _HOLDERS:
            continue
        left = {address for _, address in change.removed}
        for each in change.added:
            if each[1] in left or _is_there(found, each[0]):
                yield each


def _is_there(found: FoundTable, port: str) -> bool:
    key = nft_keys.encoded(SET_KEYS[_PORTS], (port,))
    return key in found.elements.get(_PORTS, ())
