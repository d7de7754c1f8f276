"""The devices of a host by name, and which of them are whose.

A pass asks which devices no plan names, and which ports of a plan are no
device.  With a thousand of both that costs more than what is done about the
few: so each answer is kept, and amended where a device or a plan is another.
Nothing is known here that does not follow from the devices and the plan that
was asked about last.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Any

from flatnet.apply.link.link import SWITCHES, Link
from flatnet.state.sliced_collections import SlicedMap

_NOBODY: frozenset[str] = frozenset()


class Beside:
    """What of devices and of planned names has no fellow among the others."""

    def __init__(self, there: Mapping[str, Link]) -> None:
        """`there` are the devices, of which each change is noted."""
        self._there = there
        self._planned = SlicedMap[str, Any]()
        self._unplanned: set[str] = set()
        self._missing: set[str] = set()

    def note(self, name: str) -> None:
        """Note that a device came or went, or that it is planned or not."""
        is_there, is_planned = name in self._there, name in self._planned
        _keep(self._unplanned, name, is_there and not is_planned)
        _keep(self._missing, name, is_planned and not is_there)

    def unplanned(self, planned: SlicedMap[str, Any]) -> AbstractSet[str]:
        """The names of the devices that are not planned, as they are now."""
        self._follow(planned)
        return self._unplanned

    def missing(self, planned: SlicedMap[str, Any]) -> AbstractSet[str]:
        """The planned names that are no device's, as they are now."""
        self._follow(planned)
        return self._missing

    def _follow(self, planned: SlicedMap[str, Any]) -> None:
        if planned is self._planned:
            return
        before, self._planned = self._planned, planned
        put, gone = planned.differing(before)
        for name in (*put, *gone):
            self.note(name)


class DeviceIndex:
    """The devices, one for each name; who notes one has it in all answers."""

    def __init__(self, links: Iterable[Link] = ()) -> None:
        self._links: dict[str, Link] = {}
        self.links: Mapping[str, Link] = MappingProxyType(self._links)
        # Another once a device is.
        self.turn = 0
        self._names: dict[int, str] = {}
        # By the index of what they are in.
        self._slaves: dict[int, set[str]] = {}
        self._switches: set[str] = set()
        self._marked: set[str] = set()
        # Beside the ports of a plan, and beside those of its guard.
        self.ports = Beside(self._links)
        self.guarded = Beside(self._links)
        for each in links:
            self.put(each)

    def put(self, link: Link) -> None:
        """Note what a device is by now."""
        self.turn += 1
        self.drop(link.name)
        self._links[link.name] = link
        self._names[link.index] = link.name
        self._note(link.name)
        if link.master:
            self._slaves.setdefault(link.master, set()).add(link.name)
        if link.kind in SWITCHES:
            self._switches.add(link.name)
        if link.ours:
            self._marked.add(link.name)

    def drop(self, name: str) -> None:
        """Note that no device has a name."""
        self.turn += 1
        link = self._links.pop(name, None)
        if link is None:
            return
        self._note(name)
        if self._names.get(link.index) == name:
            del self._names[link.index]
        self._switches.discard(name)
        self._marked.discard(name)
        slaves = self._slaves.get(link.master, set())
        slaves.discard(name)
        if not slaves:
            self._slaves.pop(link.master, None)

    def _note(self, name: str) -> None:
        self.ports.note(name)
        self.guarded.note(name)

    def name(self, index: int) -> str | None:
        """The name of the device of an index, by what was heard last."""
        return self._names.get(index)

    def slaves(self, index: int) -> AbstractSet[str]:
        """The names of the ports of a bridge, as they are now."""
        return self._slaves.get(index, _NOBODY)

    @property
    def marked(self) -> AbstractSet[str]:
        """The names of the devices that bear our mark, as they are now."""
        return self._marked

    @property
    def switches(self) -> tuple[Link, ...]:
        """What the host may reach guests by, sorted by name."""
        return tuple(self._links[name] for name in sorted(self._switches))


def _keep(names: set[str], name: str, is_in: bool) -> None:
    if is_in:
        names.add(name)
    else:
        names.discard(name)
