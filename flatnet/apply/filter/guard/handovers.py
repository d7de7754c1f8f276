"""Addresses that go to another port that is there already, or to none.

What the last holder of an address began is tracked, and passes as
established: the next one would be sent its answers.  Of a port that is about
to be made that is forgotten before it is (see `connections.conntrack`); where
the port is there, its address is kept from it until it was: the guard takes
it from the last holder, connections are cut, and then the guard lets the next
one have it.  Where a port loses it and stays they are forgotten too, for
whoever lists connections takes them for a guest's.  What is left of those
harms nobody: who is given the address waits for them.

Given up: where guests may use any address the guard knows of no holders.  What
a guest began whose port goes stays until it times out or its address is given
again: he may have moved to another host, and goes on there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

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


class Handovers:
    """Those of one pass: who was asked for, and what came of it."""

    def __init__(self, cut: Callable[[frozenset[str]], Changes]) -> None:
        """`cut` forgets all connections of some addresses."""
        self._cut = cut
        self._asked: frozenset[str] = frozenset()
        self._kept: frozenset[str] = frozenset()
        self._left: frozenset[str] = frozenset()
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
        """Note which addresses ports lose that stay."""
        self._left |= _leaving(wanted)

    def forget(self) -> None:
        """Have connections of these forgotten, now that nobody uses them.

        It is nobody's failure where they are not.
        """
        if not self._left:
            return
        done = self._cut(self._left)
        left = tuple(str(each) for each in done.failures)
        told = replace(done, failures=(), uncut=frozenset(), warnings=left)
        self.done = *self.done, told

    def without_kept(self, wanted: Wanted) -> Wanted:
        """Return changes by which nobody gets what could not be cut."""
        return without(wanted, self._kept)


def _leaving(wanted: Wanted) -> frozenset[str]:
    """The addresses that ports lose which stay, and that no other gets."""
    went, came, gone = set[Element](), set[str](), set[str]()
    for changes in wanted.values():
        for change in changes:
            if change.set in _HOLDERS:
                went |= change.removed
                came.update(address for _, address in change.added)
            elif change.set == _PORTS:
                gone.update(port for (port,) in change.removed)
    left = {address for port, address in went if port not in gone}
    return frozenset(left - came)


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
