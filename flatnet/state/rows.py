"""What the database says, as values that cross layers.

`Snapshot` is all that concerns one host, read in one transaction.  All are
frozen and all sequences in them are sorted, so that equal states compare
equal.  Addresses are text without a prefix, MACs are in lower case with
colons, mtu is in bytes.
"""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

# What callers want of an interface on a host (`port_bindings.wanted`): one
# that leaves is on its way to a host where it arrives.
SERVING, ARRIVING, GONE = "serving", "arriving", "gone"
LEAVING = "leaving"
# Characters of a reason that a row keeps.
LONGEST_REASON = 255
# What Linux, iptables, dnsmasq and `ip` alike read as the name of one device:
# not `+`, with which iptables means any whose name begins so, nor `@`, behind
# which `ip` shows another device.
DEVICE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")
# Addresses of a few hosts that are full.
_REMEMBERED = 1 << 14
# Bit/s that a port can be held to: a frame a second, and what Linux counts by.
RATES = range(64_000, 1_000_000_000_001)
# Bytes of an IP packet.
MTUS = range(68, 65536)


@dataclass(frozen=True, slots=True)
class Network:
    """A row of `networks`: one flat pool, shared by all hosts.

    Where `multi_host` is false one `host` serves the guests of all, by the
    address `dhcp_server` on its bridge, whose MAC is `server_mac`; that is
    none where it is not known, as until a new host has taken the role.
    """

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
    gateway_v6: str | None = None
    host: str | None = None
    dhcp_server: str | None = None
    server_mac: str | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """A row of `instances`, which the compute service owns."""

    id: int
    uuid: str
    hostname: str | None = None
    host: str | None = None
    project_id: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A row of `services`: a daemon and when it reported last.

    `last_seen_up` is UTC, ISO 8601, as the database's clock gave it;
    `seconds_ago` is measured by the same clock.  `state` is what its last
    pass was: ready, degraded or failed, with the `reason`; or stopped.
    """

    host: str
    binary: str
    last_seen_up: str
    seconds_ago: float
    state: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """A row of `port_bindings`: an interface on the host that was asked for.

    `wanted` is what callers said, `plug` the kind of its port, `moved` says
    of a tombstone that the interface lives on elsewhere.  The rest is what
    the host made of it last, as `Finding`; none where it was never looked at.
    """

    interface_uuid: str
    instance_uuid: str
    wanted: str
    plug: str | None = None
    found: str | None = None
    carrier: bool = False
    reason: str | None = None
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What a pass made of an interface's port on its host.

    `found` is up, shut, missing or held (kept for a guest that no row
    names here), `carrier` says that a guest is there, `reason` why it is not
    up.  `plug` is the kind of the device.
    """

    interface_uuid: str
    instance_uuid: str
    found: str
    carrier: bool = False
    reason: str | None = None
    plug: str | None = None


@dataclass(frozen=True, slots=True)
class FloatingIp:
    """A row of `floating_ips` that leads to an address of an interface.

    `fixed` is that address, `device` the one that `address` is to be on;
    none for `public_interface`.
    """

    address: str
    fixed: str
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Interface:
    """A row of `virtual_interfaces` with its instance and addresses.

    `host` is where the instance's row says that it is; `instance_id`
    ascends as instances are made.  `addresses` are by age: the first is
    leased, and a port may use all.  `has_default_route` says that it is the
    oldest of its instance's, `is_plugged` that it is to have a port.
    `floating` are by address.  `port_rate` is what it may send and take, in
    bit/s each, 0 as much as it can; without one that is the option times
    `rxtx_factor`.
    """

    uuid: str
    mac: str
    network_id: int
    instance_uuid: str
    hostname: str | None = None
    project_id: str | None = None
    host: str | None = None
    addresses: tuple[str, ...] = ()
    security_group_ids: tuple[int, ...] = ()
    instance_id: int | None = None
    has_default_route: bool = True
    floating: tuple[FloatingIp, ...] = ()
    rxtx_factor: float | None = None
    port_rate: int | None = None
    is_plugged: bool = True


@dataclass(frozen=True, slots=True)
class NamedInstance:
    """A living instance anywhere that has a leased address in a network.

    `instance_id` ascends as instances are made.  `addresses` are those that
    are leased, one of each family for each of its interfaces there.
    """

    network_id: int
    instance_uuid: str
    hostname: str | None = None
    instance_id: int | None = None
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A group that an instance of this host is in, with its rules."""

    id: int
    name: str
    rules: tuple[SecurityRule, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceMember:
    """An instance anywhere that is in a group which rules here name."""

    group: int
    instance_uuid: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All rows that concern one host, read in one transaction.

    `networks` are those that have an interface or a bridge address here.
    `interfaces` are those of living instances whose row names the host or
    that are bound to it, but for those that are to go.  `bindings` are all of
    the host, `elsewhere` the interfaces bound here whose guest is on another
    host by now.  `departed` are the uuids of deleted instances that are
    bound here.
    `host_addresses` maps a network's id to the address of its bridge on
    this host.  `members` are those of the groups that rules name, on all
    hosts, and `named` the instances, on all hosts, of the networks whose
    names this host tells.  `served` are interfaces of other hosts that this
    one is the DHCP server of, and `unclaimed` the uuids of the networks whose
    server this host is to be by its row, or may be, and has not said so yet.
    """

    host: str
    networks: tuple[Network, ...] = ()
    host_addresses: tuple[tuple[int, str], ...] = ()
    interfaces: tuple[Interface, ...] = ()
    security_groups: tuple[SecurityGroup, ...] = ()
    members: tuple[SourceMember, ...] = ()
    bindings: tuple[Binding, ...] = ()
    elsewhere: tuple[str, ...] = ()
    departed: tuple[str, ...] = ()
    named: tuple[NamedInstance, ...] = ()
    served: tuple[Interface, ...] = ()
    unclaimed: tuple[str, ...] = ()


@lru_cache(_REMEMBERED)
def address_order(text: str) -> tuple[int, int, str]:
    """Return what sorts addresses as numbers, IPv4 first.

    What is no address comes last: a row may hold anything, and one that is
    malformed must not keep the others from being read.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return 9, 0, text
    return address.version, int(address), text
