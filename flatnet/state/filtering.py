"""What may reach the instances of a host, as values.

No chain, set or rule has a name here: what a backend makes of these values is
its own affair, and connections that exist already are judged by the same.

Addresses are text without a prefix, networks text with one.  All sequences
are sorted, but those of openings and networks, which are tried in order.
"""

from dataclasses import dataclass, field

from flatnet.state.sliced_collections import SlicedSet


@dataclass(frozen=True, slots=True)
class Opening:
    """What is let in, in one family (4 or 6).

    `source` is a network, `group` the id of a group whose members may send;
    with neither it is from anywhere.  `protocol` is a number, none for all.
    `first` and `last` are ports, for ICMP the type and the code; none is
    any.
    """

    family: int
    source: str | None = None
    group: int | None = None
    protocol: int | None = None
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A security group that somebody here is in, and what it lets in."""

    id: int
    openings: tuple[Opening, ...] = ()

    def __hash__(self) -> int:
        """Looked up by the thousand; nearly all differ in the id alone."""
        return hash((self.id, len(self.openings)))


@dataclass(frozen=True, slots=True)
class Members:
    """The addresses of a group that an opening names, wherever they are.

    There may be very many, so that nobody puts them in order.
    """

    group: int
    addresses: SlicedSet[str] = field(default_factory=SlicedSet)


@dataclass(frozen=True, slots=True)
class Guest:
    """An interface here; `groups` are the ids of those that exist.

    `filtered` says that what is bound for it is judged, `addresses` are of
    both families, with those that its MAC makes.
    """

    uuid: str
    instance_uuid: str
    bridge: str
    addresses: tuple[str, ...] = ()
    filtered: bool = False
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FloatingAddress:
    """An address of the outside that is a guest's, by translation.

    What is for `address` goes to `fixed`, an address of the guest behind
    `port` whose interface is `uuid`.  What that begins by `device` comes from
    `address`, if of several it is the lowest.
    """

    address: str
    fixed: str
    device: str
    port: str
    uuid: str
    instance_uuid: str


@dataclass(frozen=True, slots=True)
class FlatNetwork:
    """A network with guests here: what counts as the same network.

    `server` is the address of their DHCP server where it is on another host.
    """

    bridge: str
    cidr: str
    cidr_v6: str | None = None
    server: str | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """A bridge with an address of ours, where the host is the gateway.

    `serves` says that it answers DHCP and DNS there, `external` that the
    guests' own gateway is somebody else's router.  `routers` are the IPv6
    addresses of the bridge, where the host is the guests' router of that too.
    """

    bridge: str
    cidr: str
    address: str
    serves: bool = False
    external: bool = False
    routers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outside:
    """How gateways lead to the outside.

    :param forwards: devices that they forward to; none for all
    :param source_ip: what guests' addresses become, none to keep them
    :param public_interface: the device where they become that
    :param snat_ranges: networks that they become it for, wherever these are,
        where the guests' gateway is another
    :param kept: networks that see guests' own addresses
    :param metadata: address and port of the metadata service
    :param name_servers: networks of servers that DNS is forwarded to
    :param any_name_server: whether it may be anybody that the host itself
        asks
    """

    forwards: tuple[str, ...] | None = None
    source_ip: str | None = None
    public_interface: str = ""
    snat_ranges: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    metadata: tuple[str, int] | None = None
    name_servers: tuple[str, ...] = ()
    any_name_server: bool = False


@dataclass(frozen=True, slots=True)
class Forwarding:
    """The devices that IPv4 is forwarded from, whether there yet or not.

    `default_routes` says that those of the host's default routes are too.
    """

    devices: tuple[str, ...] = ()
    default_routes: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """All of it; `same_network` says that a network's own traffic passes."""

    same_network: bool = True
    networks: tuple[FlatNetwork, ...] = ()
    guests: tuple[Guest, ...] = ()
    groups: tuple[Group, ...] = ()
    members: tuple[Members, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    outside: Outside = Outside()
    floating: tuple[FloatingAddress, ...] = ()
