"""What a host should look like, part by part, and how it came to differ.

A part is a small value under a key, made of few rows and independent of its
neighbours: what gathers many parts, such as a set or a hosts file, is the
affair of who renders it.  So a change costs the parts that it is about, and
they alone go from the daemon to the applier.

Keys: networks and groups by their ids, guests by the uuids of their
interfaces, members of source groups by the id and the uuid of the instance,
with a blank between, and slices of a network's names by its id and theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from flatnet.state import mappings
from flatnet.state.filtering import (
    FlatNetwork,
    FloatingAddress,
    Forwarding,
    Gateway,
    Group,
    Guest,
    Outside,
)
from flatnet.state.plan import (
    Bridge,
    DhcpHost,
    DhcpServer,
    GuardedNetwork,
    GuardedPort,
    NamesSlice,
    Port,
)
from flatnet.state.sliced_collections import SlicedMap
from flatnet.state.taken_addresses import InUse


@dataclass(frozen=True)
class HostPart:
    """What is said once for a host.

    `sysctls` are (name, value) pairs.  `same_network` and `isolated` are
    both sides of `allow_same_net_traffic`; `is_guarded` says that there is a
    bridge, `has_foreign_openings` that rules of others may let in what ours do
    not.  `in_use` is what this host needs and no network may take.
    """

    host: str
    sysctls: tuple[tuple[str, str], ...] = ()
    forwarding: Forwarding = field(default_factory=Forwarding)
    outside: Outside = field(default_factory=Outside)
    same_network: bool = True
    is_guarded: bool = False
    prevent_spoofing: bool = True
    isolated: bool = False
    has_foreign_openings: bool = False
    in_use: tuple[InUse, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkPart:
    """A network on this host: all of it but its guests.

    One that cannot be made has a bridge with a fault, and nothing else.
    """

    bridge: Bridge
    server: DhcpServer | None = None
    guarded: GuardedNetwork | None = None
    flat: FlatNetwork | None = None
    gateway: Gateway | None = None


@dataclass(frozen=True, slots=True)
class GuestPart:
    """An interface on this host; `network` is the id of its network."""

    network: int
    port: Port
    guarded: GuardedPort | None = None
    filtered: Guest | None = None
    dhcp: DhcpHost | None = None
    floating: tuple[FloatingAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class ServedPart:
    """An interface of another host that is served here, on this network."""

    network: int
    dhcp: DhcpHost


@dataclass(frozen=True, slots=True)
class Member:
    """The addresses of an instance that is in a group, wherever it is."""

    group: int
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GonePort:
    """A port that is to go; `moved` says that its guest goes on elsewhere."""

    name: str
    moved: bool = False


@dataclass(frozen=True)
class Parts:
    """All parts of a host; `gone` are the ports that are to go."""

    host: HostPart
    networks: Mapping[int, NetworkPart] = field(default_factory=dict)
    guests: Mapping[str, GuestPart] = field(default_factory=SlicedMap)
    gone: Mapping[str, GonePort] = field(default_factory=dict)
    groups: Mapping[int, Group] = field(default_factory=dict)
    members: Mapping[str, Member] = field(default_factory=SlicedMap)
    names: Mapping[str, NamesSlice] = field(default_factory=SlicedMap)
    served: Mapping[str, ServedPart] = field(default_factory=SlicedMap)


@dataclass(frozen=True)
class Dropped:
    """The keys of parts that are no more."""

    networks: tuple[int, ...] = ()
    guests: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    members: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    served: tuple[str, ...] = ()


_KINDS = tuple(each.name for each in fields(Dropped))


@dataclass(frozen=True)
class Delta:
    """What makes parts of others: those that are put, and those dropped."""

    put: Parts
    dropped: Dropped = Dropped()

    def leaves(self, before: Parts) -> bool:
        """Whether what it makes of some parts is the same."""
        return self.put.host == before.host and not any(
            getattr(each, kind)
            for each in (self.put, self.dropped)
            for kind in _KINDS
        )

    @property
    def guests(self) -> frozenset[str]:
        """The keys of the guests that it is about."""
        return frozenset((*self.put.guests, *self.dropped.guests))


def difference(before: Parts, after: Parts) -> Delta:
    """Return what makes `after` of `before`.

    Parts that did not change are nearly always the same objects.
    """
    put: dict[str, Any] = {}
    dropped: dict[str, Any] = {}
    for kind in _KINDS:
        old, new = getattr(before, kind), getattr(after, kind)
        put[kind], dropped[kind] = mappings.difference(old, new)
    return Delta(replace(after, **put), Dropped(**dropped))


def changed(before: Parts, delta: Delta) -> Parts:
    """Return the parts that a delta makes of others."""
    found: dict[str, Any] = {
        kind: mappings.renewed(
            getattr(before, kind),
            getattr(delta.dropped, kind),
            getattr(delta.put, kind),
        )
        for kind in _KINDS
    }
    return replace(delta.put, **found)
