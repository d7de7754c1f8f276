"""The values that cross layers: rows in, a plan out, changes back.

`Snapshot` is what the database says about one host, read in one
transaction.  `Plan` is everything that this host should look like, made by
the pure functions of `flatnet.plan`.  `Changes` is what the appliers did to
get there.  All are frozen, and all sequences in them are sorted, so that
equal states compare equal and print the same.

Units: mtu in bytes, lease time in seconds, addresses as text without a
prefix unless the field says so, MACs in lower case with colons.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Network:
    """A row of `networks`: one flat pool, shared by all hosts."""

    id: int
    uuid: str
    label: str
    cidr: str
    bridge: str
    cidr_v6: str | None = None
    bridge_interface: str | None = None
    gateway: str | None = None
    broadcast: str | None = None
    netmask: str | None = None
    dns1: str | None = None
    dns2: str | None = None
    dhcp_start: str | None = None
    multi_host: bool = True
    enable_dhcp: bool = True
    mtu: int | None = None
    injected: bool = False
    project_id: str | None = None


@dataclass(frozen=True)
class Instance:
    """A row of `instances`, which the compute service owns."""

    id: int
    uuid: str
    hostname: str | None = None
    host: str | None = None
    project_id: str | None = None


@dataclass(frozen=True)
class Service:
    """A row of `services`: a daemon and when it reported last.

    `last_seen_up` is UTC, ISO 8601, as the database's clock gave it;
    `seconds_ago` is measured by the same clock.
    """

    host: str
    binary: str
    last_seen_up: str
    seconds_ago: float


@dataclass(frozen=True)
class Interface:
    """A row of `virtual_interfaces` with its instance and addresses."""

    uuid: str
    mac: str
    network_id: int
    instance_uuid: str
    hostname: str | None = None
    project_id: str | None = None
    addresses: tuple[str, ...] = ()
    security_group_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class SecurityRule:
    """A row of `security_group_rules`, as it was written.

    For icmp `from_port` is the type and `to_port` the code, -1 for any.
    """

    id: int
    protocol: str | None = None
    from_port: int | None = None
    to_port: int | None = None
    cidr: str | None = None
    group_id: int | None = None


@dataclass(frozen=True)
class SecurityGroup:
    """A group that an instance of this host is in, with its rules."""

    id: int
    name: str
    rules: tuple[SecurityRule, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """All rows that concern one host, read in one transaction.

    `networks` are those that have an interface or a bridge address here.
    `host_addresses` maps a network's id to the address of its bridge on
    this host.  `group_members` maps the id of each source group to the
    addresses of its members on all hosts.
    """

    host: str
    networks: tuple[Network, ...] = ()
    host_addresses: tuple[tuple[int, str], ...] = ()
    interfaces: tuple[Interface, ...] = ()
    security_groups: tuple[SecurityGroup, ...] = ()
    group_members: tuple[tuple[int, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Uplink:
    """What the kernel says of a device that a bridge is to enslave."""

    name: str
    mtu: int


@dataclass(frozen=True)
class Port:
    """A device on a bridge that leads to one instance.

    `name` is the host's end.  `kind` is `tap` (persistent, opened by a
    hypervisor), `veth` (`peer` is the end that a container takes, it has
    `mac`) or `external` (made and attached by somebody else).
    """

    name: str
    kind: str
    mac: str
    instance_uuid: str
    addresses: tuple[str, ...] = ()
    peer: str | None = None


@dataclass(frozen=True)
class Bridge:
    """A bridge with its ports; `address` has a prefix (`10.0.0.1/24`)."""

    name: str
    network_uuid: str
    mac: str
    mtu: int
    uplink: str | None = None
    address: str | None = None
    ports: tuple[Port, ...] = ()


@dataclass(frozen=True)
class DhcpHost:
    """One line of the hosts file; `name` without a domain, or none."""

    mac: str
    address: str
    name: str | None = None


@dataclass(frozen=True)
class DhcpServer:
    """One dnsmasq: it serves `hosts` on `bridge` and nobody else.

    `address` is what it listens on, `router` what it hands out as the
    gateway, `servers` where it forwards names to (empty: the host's own
    resolv.conf).  `releases` says whether leases that none of `hosts` has
    are released.
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


@dataclass(frozen=True)
class Chain:
    """An iptables chain of ours: `rules` without the leading `-A name`.

    `instance_uuid` is the instance that suffers if it cannot be written.
    """

    name: str
    rules: tuple[str, ...] = ()
    instance_uuid: str | None = None


@dataclass(frozen=True)
class Jump:
    """The one way from a built-in chain into a chain of ours."""

    builtin: str
    chain: str


@dataclass(frozen=True)
class Table:
    """What flatnet owns of one iptables table; `family` is 4 or 6."""

    family: int
    name: str
    chains: tuple[Chain, ...] = ()
    jumps: tuple[Jump, ...] = ()


@dataclass(frozen=True)
class AddressSet:
    """An ipset of addresses (`hash:net`); `family` is 4 or 6."""

    name: str
    family: int
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class GuardedPort:
    """What a port may send at layer 2, and from which addresses."""

    name: str
    mac: str
    addresses: tuple[str, ...] = ()
    instance_uuid: str = ""


@dataclass(frozen=True)
class Guard:
    """The nftables table `flatnet` of family bridge, as values.

    `gateways` are (bridge address, bridge MAC, uplink or none) of this
    host: nobody behind the uplink may claim them.  `uplinks` are those of
    all bridges, `dhcp_uplinks` those of bridges whose guests have their
    DHCP server on this host, and so need none elsewhere.  `isolated` is
    the opposite of `allow_same_net_traffic`.
    """

    ports: tuple[GuardedPort, ...] = ()
    gateways: tuple[tuple[str, str, str | None], ...] = ()
    uplinks: tuple[str, ...] = ()
    dhcp_uplinks: tuple[str, ...] = ()
    prevent_spoofing: bool = True
    isolated: bool = False


@dataclass(frozen=True)
class Plan:
    """Everything that this host should look like.

    `sysctls` are (name, value) pairs.  `guard` is none where spoofing is
    not prevented.  `warnings` are lines for the log about rows that could
    not be planned as written; they change nothing on the host.
    """

    host: str
    sysctls: tuple[tuple[str, str], ...] = ()
    bridges: tuple[Bridge, ...] = ()
    dhcp_servers: tuple[DhcpServer, ...] = ()
    tables: tuple[Table, ...] = ()
    address_sets: tuple[AddressSet, ...] = ()
    guard: Guard | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A part of the plan that could not be applied.

    `subject` names it (`bridge br100`, `port tap1`, `dhcp br100`,
    `firewall`); `instances` are the uuids that suffer.
    """

    subject: str
    message: str
    instances: tuple[str, ...] = ()


@dataclass(frozen=True)
class Changes:
    """What a pass did: one line per change, and what it could not do."""

    made: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
