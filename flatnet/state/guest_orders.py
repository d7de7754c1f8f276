"""The guests of a host in the orders that a plan has them in.

Who comes or goes is put into his place, or taken from it, and nobody else is
looked at.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Generic, TypeVar

from flatnet.state.filtering import FloatingAddress, Guest
from flatnet.state.parts import GuestPart, ServedPart
from flatnet.state.plan import DhcpHost, GuardedPort, Port
from flatnet.state.rows import address_order
from flatnet.state.sliced_collections import SlicedMap, sliced

V = TypeVar("V")


class Ordered(Generic[V]):
    """Values by the places that they have in an order."""

    def __init__(self) -> None:
        self._places: list[Any] = []
        self._values: list[V] = []
        self._told: tuple[V, ...] | None = ()

    def put(self, place: Any, value: V) -> None:
        """Put a value where none is."""
        index = bisect_left(self._places, place)
        self._places.insert(index, place)
        self._values.insert(index, value)
        self._told = None

    def drop(self, place: Any) -> None:
        """Take away the value that is there."""
        index = bisect_left(self._places, place)
        del self._places[index], self._values[index]
        self._told = None

    def last(self, first: str) -> V | None:
        """The last of those whose places begin with this, if any does."""
        index = bisect_left(self._places, (first,))
        found = None
        while index < len(self._places) and self._places[index][0] == first:
            found = self._values[index]
            index += 1
        return found

    @property
    def values(self) -> tuple[V, ...]:
        """All of them; where they are as before, the same object."""
        if self._told is None:
            self._told = tuple(self._values)
        return self._told


class Arranged:
    """Ports and DHCP hosts by network, and what is of the whole host.

    Ports are known by their names too, those of the guard as well; of
    namesakes one.
    """

    def __init__(self) -> None:
        self._guests = SlicedMap[str, GuestPart]()
        self._served = SlicedMap[str, ServedPart]()
        self.ports: dict[int, Ordered[Port]] = defaultdict(Ordered)
        self.hosts: dict[int, Ordered[DhcpHost]] = defaultdict(Ordered)
        self.guarded = Ordered[GuardedPort]()
        self.filtered = Ordered[Guest]()
        self.floating = Ordered[FloatingAddress]()
        self.ports_named = SlicedMap[str, Port]()
        self.guarded_named = SlicedMap[str, GuardedPort]()

    @property
    def count(self) -> int:
        """How many guests there are, each with a port."""
        return len(self._guests)

    def follow(
        self,
        guests: Mapping[str, GuestPart],
        served: Mapping[str, ServedPart],
    ) -> None:
        """Take over the guests that there are now, and those served here."""
        self._follow_served(served)
        before, self._guests = self._guests, sliced(guests)
        put, dropped = self._guests.differing(before)
        names = set()
        for key in (*dropped, *put):
            old = self._places(key, before.get(key))
            new = self._places(key, put.get(key))
            # What is as it was stays the same object.
            for order, place, _ in (each for each in old if each not in new):
                order.drop(place)
            for order, place, value in (e for e in new if e not in old):
                order.put(place, value)
            names |= {
                each[key].port.name for each in (before, put) if key in each
            }
        self.ports_named = _renamed(
            self.ports_named, names, self.ports.values()
        )
        self.guarded_named = _renamed(
            self.guarded_named, names, (self.guarded,)
        )

    def _follow_served(self, served: Mapping[str, ServedPart]) -> None:
        """Take over the guests of other hosts that are served here."""
        before, self._served = self._served, sliced(served)
        put, dropped = self._served.differing(before)
        for key in (*dropped, *put):
            if old := before.get(key):
                self.hosts[old.network].drop(_place_of_served(key, old))
            if new := put.get(key):
                at = _place_of_served(key, new)
                self.hosts[new.network].put(at, new.dhcp)

    def _places(
        self, key: str, guest: GuestPart | None
    ) -> list[tuple[Ordered[Any], Any, Any]]:
        """Where a guest stands; who is like another stands by his key."""
        if guest is None:
            return []
        found: list[tuple[Ordered[Any], Any, Any]] = [
            (self.ports[guest.network], (guest.port.name, key), guest.port)
        ]
        if guest.dhcp:
            at = (address_order(guest.dhcp.address), key)
            found.append((self.hosts[guest.network], at, guest.dhcp))
        if guest.guarded:
            name = (guest.guarded.name, key)
            found.append((self.guarded, name, guest.guarded))
        if guest.filtered:
            uuid = (guest.filtered.uuid, key)
            found.append((self.filtered, uuid, guest.filtered))
        for each in guest.floating:
            at = (address_order(each.address), key)
            found.append((self.floating, at, each))
        return found


def _place_of_served(key: str, served: ServedPart) -> Any:
    """Another than that of a guest here, who may be the same for a moment."""
    return address_order(served.dhcp.address), key, "served"


def _renamed(
    known: SlicedMap[str, V],
    names: Iterable[str],
    orders: Collection[Ordered[V]],
) -> SlicedMap[str, V]:
    """Values by name, once those of some names may be others."""
    found = {
        name: value
        for name in names
        for order in orders
        if (value := order.last(name)) is not None
    }
    return known.changed(found, names)
