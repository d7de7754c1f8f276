"""What callers ask for when they allocate, and what they have then."""

from dataclasses import dataclass

from flatnet.state.rows import Interface, Network
from flatnet.state.taken_addresses import InUse

Requested = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Placing:
    """Where an instance is to run, and how its host gives things out.

    `takes_address` says that the host's bridge takes an address first,
    `quarantine` are the seconds before a released address is given out,
    `mac_attempts` how many random MACs are tried per interface, `plug` is the
    kind of port that a new interface gets, `in_use` what the host itself
    depends on, which nobody is given.  `use_ipv6` gives interfaces the address
    that their MAC makes in the network's IPv6 range.
    """

    host: str
    takes_address: bool = True
    quarantine: int = 600
    mac_attempts: int = 5
    plug: str = "tap"
    in_use: tuple[InUse, ...] = ()
    use_ipv6: bool = False


@dataclass(frozen=True)
class Order:
    """One call to allocate.

    `requested` are pairs of a network's uuid and an address or none; none for
    all networks, or those that the instance has.  `macs` are for new
    interfaces, in this order; then come random ones.  `rxtx_factor` and
    `port_rate` are what its interfaces may send and take from now on, as
    `Interface` has them; none: what they might so far.
    """

    instance_uuid: str
    requested: Requested | None = None
    macs: tuple[str, ...] = ()
    rxtx_factor: float | None = None
    port_rate: int | None = None


@dataclass(frozen=True)
class Served:
    """What an instance has, as it was written.

    Each interface, oldest first, with its network and the address that the
    bridge of the placement's host has in it, or none.  `host` is where the
    instance's row says that it is.
    """

    host: str | None
    networks: tuple[tuple[Interface, Network, str | None], ...]


@dataclass(frozen=True)
class Concerned:
    """Groups that some rule names, and who is in them, of some instances.

    All are sorted; without any of these nobody else is concerned.
    """

    groups: tuple[int, ...] = ()
    instances: tuple[str, ...] = ()


@dataclass(frozen=True)
class Farewell:
    """One call to deallocate.

    `reference` is the uuid or the integer id of the instance, dead or alive,
    `hint` the host that it ran on, where no row says it.
    """

    reference: str
    hint: str | None = None


@dataclass(frozen=True)
class Bereft:
    """An instance that has nothing any more, and the hosts to follow."""

    instance_uuid: str
    hosts: tuple[str, ...]
