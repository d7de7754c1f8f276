"""What a host should look like: the plan that the appliers are given.

All is frozen, and all sequences in it are sorted, so that equal states compare
equal and print the same.

Units: mtu in bytes, lease time in seconds, addresses as text without a
prefix unless the field says so, MACs in lower case with colons.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from flatnet.state.filtering import Filter, Forwarding
from flatnet.state.name_index import NameIndex, named
from flatnet.state.sliced_collections import SlicedMap
from flatnet.state.taken_addresses import InUse

# What guests know the metadata service by, whoever it is.
METADATA = "169.254.169.254"


@dataclass(frozen=True, slots=True)
class Uplink:
    """What the kernel says of a device that a bridge is to enslave."""

    name: str
    mtu: int


@dataclass(frozen=True, slots=True)
class Port:
    """A device on a bridge that leads to one instance.

    `name` is the host's end.  `kind` is `tap` (opened by a hypervisor), `veth`
    (`peer` is the end that a container takes, it has `mac`) or `external`
    (made and attached by somebody else).

    `stays` is `always`; or `used`, where the instance's row names another
    host: the port is kept as long as a guest uses it and never made; or
    `shut`, where that guest has a carrier on the other host: kept, but down;
    or `unplugged`, where a caller wants none: the same, and reported as that.
    `rate` is what it may send and take, in bit/s each, 0 as much as it can.
    """

    name: str
    kind: str
    mac: str
    instance_uuid: str
    addresses: tuple[str, ...] = ()
    peer: str | None = None
    owner: str | None = None
    group: str | None = None
    stays: str = "always"
    rate: int = 0


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge with its ports; `address` has a prefix (`10.0.0.1/24`).

    `network` is the id of its network, by which failures are told.  With a
    `fault` it cannot be made: its ports stay where they are, shut.  When its
    address is set it is announced so many times; `asks` says that the segment
    is asked for it first.  `routers` are its IPv6 addresses, each in a /64,
    where the host is the router of its guests.
    """

    name: str
    network_uuid: str
    mac: str
    mtu: int
    uplink: str | None = None
    address: str | None = None
    ports: tuple[Port, ...] = ()
    fault: str = ""
    network: int = 0
    announced: int = 0
    asks: bool = True
    routers: tuple[str, ...] = ()

    @property
    def addresses(self) -> frozenset[str]:
        """Its addresses of both families, each with its prefix."""
        own = (self.address,) if self.address else ()
        return frozenset((*own, *(f"{each}/64" for each in self.routers)))

    @property
    def instances(self) -> tuple[str, ...]:
        """The uuids of the instances that have a port here, sorted."""
        return tuple(sorted({port.instance_uuid for port in self.ports}))


@dataclass(frozen=True, slots=True)
class DhcpHost:
    """One line of the hosts file; `name` without a domain, or none.

    `uuid` is of the interface that it is about, its guest's key.
    `has_router` says that it is told of a gateway.
    `address_v6` is what DHCPv6 gives it.
    """

    mac: str
    address: str
    uuid: str
    instance_uuid: str
    name: str | None = None
    has_router: bool = True
    address_v6: str | None = None


@dataclass(frozen=True, slots=True)
class Advertised:
    """A /64 that a DHCP server advertises, as the router of its guests.

    `address` is its own there, `duid` what DHCPv6 knows it by, 32 hexadecimal
    digits: the same on all hosts of a network, so that a guest that moved is
    answered at once.
    """

    cidr: str
    address: str
    duid: str


@dataclass(frozen=True, slots=True)
class NamesSlice:
    """What some instances of a network are called that other hosts serve.

    Those whose IPv4 addresses lie in one part of its range, counted by
    `number`; `names` are pairs of address, of either family, and name, without
    a domain, by address.  `network` is the id.
    """

    network: int
    number: int
    names: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class DhcpServer:
    """One dnsmasq: it serves `hosts` on `bridge` and nobody else.

    `address` is what it listens on, `router` what it hands out as the
    gateway, `servers` where it forwards names to (empty: as the host does),
    `releases` whether leases that none of `hosts` has are released.
    `elsewhere` are names that it tells beside those of `hosts`, by number.
    """

    bridge: str
    address: str
    cidr: str
    router: str
    mtu: int
    lease_time: int
    domain: str = ""
    servers: tuple[str, ...] = ()
    hosts: tuple[DhcpHost, ...] = ()
    releases: bool = True
    elsewhere: tuple[NamesSlice, ...] = ()
    ipv6: Advertised | None = None


@dataclass(frozen=True, slots=True)
class GuardedPort:
    """What a port may send at layer 2, and from which addresses.

    `filtered` says that rules judge what reaches its instance, `groups` are
    the ids of the groups whose rules these are; `moves`, that it may be on
    another host just now; `hairpin`, that its bridge sends back to it what
    came from it.
    """

    name: str
    mac: str
    addresses: tuple[str, ...] = ()
    instance_uuid: str = ""
    filtered: bool = False
    moves: bool = False
    hairpin: bool = False
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class GuardedNetwork:
    """What is known of a flat network of this host, and whom to believe.

    `address` and `mac` are those of its bridge here.  `uplink` is the
    planned one; which ports are uplinks is read from the bridge.  `serves`
    says that its guests have their DHCP and name server on this host.
    `foreign_ports` is what a port is that nobody planned: `closed`,
    `uplink`, or empty for what suits who made the bridge.  `metadata` says
    for whom this host has `METADATA`: for its `own` guests, for `all` of the
    network, or, empty, for nobody.  `routers` are the IPv6 addresses of its
    bridge, where its guests have their router here.  `shared`: one host serves
    those of all; `server` is its address, and `server_mac` the MAC of its
    bridge, where it is another and they are known.
    """

    bridge: str
    cidr: str
    mac: str
    address: str | None = None
    cidr_v6: str | None = None
    uplink: str | None = None
    serves: bool = False
    foreign_ports: str = ""
    metadata: str = ""
    routers: tuple[str, ...] = ()
    shared: bool = False
    server: str | None = None
    server_mac: str | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """The guard's tables; `isolated` is not `allow_same_net_traffic`.

    `has_foreign_openings` says that rules of others may let in what ours do
    not.  `arranged` are its ports by name, where that is known.
    """

    ports: tuple[GuardedPort, ...] = ()
    networks: tuple[GuardedNetwork, ...] = ()
    prevent_spoofing: bool = True
    isolated: bool = False
    has_foreign_openings: bool = False
    arranged: NameIndex[GuardedPort] | None = field(
        default=None, compare=False, repr=False
    )

    @property
    def named(self) -> SlicedMap[str, GuardedPort]:
        """Its ports by name."""
        return named(self.arranged, (self.ports,))


@dataclass(frozen=True)
class Plan:
    """Everything that this host should look like.

    `sysctls` are (name, value) pairs.  `guard` is none without a bridge.
    `renewed` are uuids of instances that begin anew: what they declined is
    served again.  `gone` are names of ports that are to go, whoever uses
    them, `moved` those of them whose guests go on elsewhere.  `forwarding` is
    what guests reach the outside by, `in_use` what this host needs and no
    network may take.  `arranged` are the ports by name, where that is known.
    """

    host: str
    sysctls: tuple[tuple[str, str], ...] = ()
    bridges: tuple[Bridge, ...] = ()
    dhcp_servers: tuple[DhcpServer, ...] = ()
    filter: Filter = field(default_factory=Filter)
    guard: Guard | None = None
    renewed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    forwarding: Forwarding = field(default_factory=Forwarding)
    in_use: tuple[InUse, ...] = ()
    arranged: NameIndex[Port] | None = field(
        default=None, compare=False, repr=False
    )

    @property
    def has_metadata(self) -> bool:
        """Whether this host has `METADATA` for guests."""
        networks = self.guard.networks if self.guard else ()
        return any(each.metadata for each in networks)

    @cached_property
    def ports(self) -> SlicedMap[str, Port]:
        """The ports of all bridges, by name."""
        return named(self.arranged, [each.ports for each in self.bridges])

    def ports_of(
        self, bridge: Bridge, names: frozenset[str] | None
    ) -> Sequence[Port]:
        """The ports of a bridge that have one of some names, or all.

        Of a few the others are not looked at: a thousand lie far apart in
        memory.
        """
        if names is None:
            return bridge.ports
        if len(self.bridges) > 1:
            return [port for port in bridge.ports if port.name in names]
        return [self.ports[name] for name in sorted(names & self.ports.keys())]

    @property
    def instances(self) -> tuple[str, ...]:
        """The uuids of the instances that have a port, sorted."""
        found = {uuid for bridge in self.bridges for uuid in bridge.instances}
        return tuple(sorted(found))
