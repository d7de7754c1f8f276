"""Devices as a pass looks at them: of each what was there the first time.

A pass may not have a device become another between two looks, and looks at
few: so only these are kept, and not a copy of a thousand.
"""

from collections.abc import Iterator, MutableMapping
from collections.abc import Set as AbstractSet

from flatnet.apply.link.device_index import DeviceIndex
from flatnet.apply.link.link import Link


class DeviceView(MutableMapping[str, Link]):
    """Devices by name, each as it was first looked at, or was put since.

    What others do to one meanwhile is for the next pass.
    """

    def __init__(self, device_index: DeviceIndex) -> None:
        """`device_index` has the devices as they are, each time."""
        self._device_index = device_index
        # None for one that is not there, or was taken away.
        self._seen: dict[str, Link | None] = {}

    def _look(self, name: str) -> Link | None:
        try:
            return self._seen[name]
        except KeyError:
            found = self._seen[name] = self._device_index.links.get(name)
            return found

    def __getitem__(self, name: str) -> Link:
        found = self._look(name)
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._look(name) is not None

    def __setitem__(self, name: str, link: Link) -> None:
        self._seen[name] = link

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._seen[name] = None

    def __iter__(self) -> Iterator[str]:
        names = dict.fromkeys((*self._device_index.links, *self._seen))
        return (name for name in names if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def at(self, index: int) -> Link | None:
        """The device of an index."""
        name = self._device_index.name(index)
        link = self.get(name) if name else None
        return link if link and link.index == index else None

    def on(self, index: int) -> list[Link]:
        """The ports of the bridge of an index."""
        found = map(self.get, sorted(self._device_index.slaves(index)))
        return [each for each in found if each and each.master == index]

    def forget(self, indexes: AbstractSet[int]) -> None:
        """Note that devices are no more, looked at or not."""
        for name in filter(None, map(self._device_index.name, indexes)):
            self._look(name)
        for name, link in self._seen.items():
            if link and link.index in indexes:
                self._seen[name] = None
