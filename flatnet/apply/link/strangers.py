"""Who is on our bridges: read from the kernel, judged by the plan.

A port of a bridge of ours is an instance's, as planned, or an uplink, or
foreign.  What it is called and which option names it says nothing of
that: libvirt attaches devices of its own, and administrators rename theirs.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace

from flatnet.apply.grammar import values as grammar_values
from flatnet.apply.link.conflicts import Surroundings, own_ways
from flatnet.apply.link.device_index import DeviceIndex
from flatnet.apply.link.device_reads import DUMP, Reads
from flatnet.apply.link.link import Address, Link
from flatnet.apply.link.routes import device_name
from flatnet.state.plan import Guard, GuardedNetwork
from flatnet.state.taken_addresses import InUse


@dataclass(frozen=True)
class Strangers:
    """The ports of the guarded bridges that are no instance's, by name.

    `ways` are (bridge, uplink), what leads to the segment of which network.
    `macs` are those of the bridges, `link_local` their IPv6 addresses that
    follow from these or are as good.  `carriers` are (cidr, device) of
    devices that are no bridge of the network and have an address of it, or
    lead to what the host itself needs of it (`conflicts`).  `elsewhere` are
    bridges, and what stands on them, that no guest is behind.
    """

    ways: frozenset[tuple[str, str]] = frozenset()
    closed: frozenset[str] = frozenset()
    macs: frozenset[str] = frozenset()
    link_local: frozenset[str] = frozenset()
    carriers: frozenset[tuple[str, str]] = frozenset()
    elsewhere: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()

    @property
    def uplinks(self) -> frozenset[str]:
        """What leads to any segment."""
        return frozenset(name for _, name in self.ways)

    def holders(self, network: GuardedNetwork) -> tuple[str, ...]:
        """The devices beside its bridge that truly lead to it."""
        return tuple(
            sorted(
                name for cidr, name in self.carriers if cidr == network.cidr
            )
        )


def strangers(
    guard: Guard, in_use: Iterable[InUse] = (), devices: Reads = DUMP
) -> Strangers:
    """Return who is on the bridges now.

    :param in_use: what the host itself depends on
    :raises HostSetupError: the kernel does not tell
    """
    found = judged(guard, devices.device_index(), devices.addresses())
    # That these are in the way, who sets the bridge's address tells.
    led = _led(guard, in_use, devices)
    return replace(found, carriers=found.carriers | led)


def ways(
    guard: Guard, in_use: Iterable[InUse], devices: Reads
) -> frozenset[tuple[str, str]]:
    """Return `carriers` alone, which costs the same with a thousand ports.

    :raises HostSetupError: the kernel does not tell
    """
    within = _within(guard, devices.addresses())
    names = {each.index: device_name(each.index) for _, each in within}
    led = _led(guard, in_use, devices)
    return _carriers(within, names) | led


def _led(
    guard: Guard, in_use: Iterable[InUse], devices: Reads
) -> frozenset[tuple[str, str]]:
    """The devices that lead to networks by routes, and truly so."""
    around = Surroundings.read(devices)
    return frozenset(
        (network.cidr, device)
        for network in guard.networks
        for device in own_ways(
            network.cidr, bridge=network.bridge, around=around, in_use=in_use
        )
    )


def judged(
    guard: Guard, device_index: DeviceIndex, addresses: tuple[Address, ...]
) -> Strangers:
    """Return what each port is, of these devices and addresses."""
    devices = device_index.links
    unplanned = device_index.guarded.unplanned(guard.named)
    ways: set[tuple[str, str]] = set()
    closed, macs = set(), set()
    warnings = []
    for network in guard.networks:
        bridge = devices.get(network.bridge)
        mine = _planned_uplink(network, bridge, devices)
        on = device_index.slaves(bridge.index) if bridge else frozenset()
        for port in (devices[n] for n in sorted((on & unplanned) - mine)):
            if not _is_sayable(port.name):
                warnings.append(_unsayable_text(port, network))
            elif bridge and _is_closed(port, bridge, network):
                closed.add(port.name)
                # Of ours that are in the way, who removes ports tells.
                if not port.ours:
                    warnings.append(_closed_text(port, network))
            else:
                mine.add(port.name)
                warnings += _uplink_text(port, network)
        ways.update((network.bridge, name) for name in mine)
        macs.add(bridge.mac if bridge else network.mac)
    within = _within(guard, addresses)
    carriers = _carriers(within, _having(devices, within))
    return Strangers(
        ways=frozenset(each for each in ways if each[1] not in closed),
        closed=frozenset(closed),
        macs=frozenset(macs),
        link_local=_link_local(guard, devices, addresses),
        carriers=carriers,
        elsewhere=_elsewhere(guard, device_index, unplanned),
        warnings=tuple(sorted(warnings)) + _carrier_texts(carriers),
    )


def _planned_uplink(
    network: GuardedNetwork,
    bridge: Link | None,
    devices: Mapping[str, Link],
) -> set[str]:
    """The planned uplink, unless it is on somebody else's bridge."""
    if not network.uplink:
        return set()
    uplink = devices.get(network.uplink)
    if uplink is None or uplink.master in (0, bridge and bridge.index):
        return {network.uplink}
    return set()


def _is_sayable(name: str) -> bool:
    try:
        grammar_values.device(name)
    except ValueError:
        return False
    return True


def _unsayable_text(port: Link, network: GuardedNetwork) -> str:
    return (
        f"port {port.name!r} of {network.bridge} passes nothing to instances: "
        "its name cannot stand in a rule; rename it"
    )


def _is_closed(port: Link, bridge: Link, network: GuardedNetwork) -> bool:
    """Whether a foreign port passes nothing.

    One that bears our mark was an instance's and is none any more.
    """
    if port.ours:
        return True
    by_maker = "closed" if bridge.ours else "uplink"
    return (network.foreign_ports or by_maker) == "closed"


def _closed_text(port: Link, network: GuardedNetwork) -> str:
    return (
        f"port {port.name} of {network.bridge} is closed: nobody planned it. "
        "If it is an instance's, its device must bear the devname of "
        "NetworkInfo; if it leads to the segment, set flat_interface = "
        f"{port.name}, or foreign_ports = uplink; else take it off: ip link "
        f"set {port.name} nomaster"
    )


def _uplink_text(port: Link, network: GuardedNetwork) -> list[str]:
    """What to say of a port that counts as an uplink; of a card, nothing."""
    if not port.is_virtual:
        return []
    return [
        f"port {port.name} of {network.bridge} is nobody's by the plan and "
        "guarded like an uplink: an instance behind it is not filtered, for "
        "its device must bear the devname of NetworkInfo; foreign_ports = "
        "closed shuts such ports"
    ]


def _link_local(
    guard: Guard,
    devices: Mapping[str, Link],
    addresses: tuple[Address, ...],
) -> frozenset[str]:
    names = devices.keys() & {network.bridge for network in guard.networks}
    bridges = {devices[name].index for name in names}
    return frozenset(
        each.ip
        for each in addresses
        if each.index in bridges and each.ip.startswith("fe80:")
    )


def _elsewhere(
    guard: Guard, device_index: DeviceIndex, unplanned: Set[str]
) -> frozenset[str]:
    bridges = (
        device_index.links.get(network.bridge) for network in guard.networks
    )
    led = {each.index for each in bridges if each}

    def leads(index: int) -> bool:
        # One that was renamed has its guests still.
        return index in led or not device_index.slaves(index) <= unplanned

    return frozenset(
        each.name
        for each in device_index.switches
        if not leads(each.index)
        and not leads(each.peer)
        and _is_sayable(each.name)
    )


def _within(
    guard: Guard, addresses: Iterable[Address]
) -> list[tuple[GuardedNetwork, Address]]:
    """The addresses of others that are of a network, each with that.

    Of the many of IPv6 that a host has none is, so that none is parsed, nor
    is its device asked for its name.
    """
    # Ours on another device is on a bridge that somebody renamed.
    found = [
        (ipaddress.IPv4Address(each.ip), each)
        for each in addresses
        if ":" not in each.value and not each.ours
    ]
    ranges = [
        (ipaddress.IPv4Network(network.cidr, strict=False), network)
        for network in guard.networks
    ]
    return [
        (network, each)
        for cidr, network in ranges
        for ip, each in found
        if ip in cidr
    ]


def _having(
    devices: Mapping[str, Link],
    within: Iterable[tuple[GuardedNetwork, Address]],
) -> dict[int, str]:
    """The names of the devices that have these addresses, by index.

    Of one that is about to have another name, none until that was heard.
    """
    names = {each.index: device_name(each.index) for _, each in within}
    return {index: name for index, name in names.items() if name in devices}


def _carriers(
    within: Iterable[tuple[GuardedNetwork, Address]],
    names: Mapping[int, str],
) -> frozenset[tuple[str, str]]:
    return frozenset(
        (network.cidr, names[each.index])
        for network, each in within
        if names.get(each.index, network.bridge) != network.bridge
    )


def _carrier_texts(carriers: frozenset[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(
        f"{name} has an address of {cidr}, so who comes in by it may claim "
        "to be an instance: give that device an address outside of the flat "
        "network"
        for cidr, name in sorted(carriers)
    )
