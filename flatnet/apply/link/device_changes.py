"""What happened to devices, for who judges it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flatnet.apply.link.link import Address, Link


@dataclass(frozen=True)
class DeviceChanges:
    """What others did to devices, or what we did and did not read again.

    `links` are pairs of what a device was and what it is; none stands for
    one that was not there, or is no more.  `addresses` came or went.
    `settings`: what the kernel does with packets of some device.  `askers`
    are the netlink ports of those who did something last to a device, by its
    index; of most changes the kernel does not say it.  `lost`: there was
    more, and nobody knows what.
    """

    links: tuple[tuple[Link | None, Link | None], ...] = ()
    addresses: frozenset[Address] = frozenset()
    settings: bool = False
    askers: Mapping[int, int] = field(default_factory=dict)
    lost: bool = False
