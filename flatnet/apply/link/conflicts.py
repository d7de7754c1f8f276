"""Whether a network is this host's own already, before it takes it over.

A bridge's address makes its network the bridge's: it is the narrowest route,
or the first by its metric.  What the host reaches there by another device it
then reaches no more, and that may be the broker, the database, its router, or
whoever set it up.

What counts, and why:

* An address that the host itself depends on, inside of the network, which it
  reaches by another device now, by whatever route.
* A range that overlaps the network and is on the link of another device.
* A route by another device to a part of the network: it takes the guests of
  that part away.

What does not: a wider route through a gateway, beside which the network is the
narrower; single addresses (/32, as on lo, or of a tunnel's far end), which
take nothing but themselves: only the bridge's own must be none (`led_to`); and
ranges of the bridge, for the LAN may be the flat network where its address is
on the bridge.

Given up: devices that are down.  They have no routes, and once they come up
they are told of as a conflict of an address that stands.
"""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from flatnet.apply.link.device_reads import DUMP, Reads
from flatnet.apply.link.link import Address
from flatnet.apply.link.routes import (
    Route,
    device_index,
    device_name,
    routes,
)
from flatnet.exceptions import HostSetupError
from flatnet.state.taken_addresses import InUse

_ONE_ADDRESS = 32
_DISCARD_PORT = 9
REMEDY = (
    "give the network a range of its own (network delete, then network "
    "create --cidr)"
)


@dataclass(frozen=True)
class Surroundings:
    """What a host has and reaches, in one reading."""

    addresses: tuple[Address, ...]
    routes: tuple[Route, ...]

    @classmethod
    def read(cls, devices: Reads = DUMP) -> "Surroundings":
        """Ask the kernel of the current namespace.

        :param devices: who knows what there is
        :raises HostSetupError: it does not tell
        """
        found = (each for each in devices.addresses() if ":" not in each.ip)
        return cls(tuple(found), routes())

    def way(self, address: IPv4Address) -> int:
        """The device by which an address is reached, 0 for none."""
        local = [
            each.index for each in self.addresses if each.ip == str(address)
        ]
        led = [each.device for each in self.routes if address in each.to]
        return next(iter((*local, *led)), 0)

    def ranges(self, network: IPv4Network, bridge: int) -> Iterable[Route]:
        """The ranges that other devices than a bridge have of a network."""
        for route in self.routes:
            if route.device == bridge or not route.to.prefixlen:
                continue
            if route.to.prefixlen == _ONE_ADDRESS:
                continue
            if route.to.subnet_of(network) or (
                route.is_on_link and route.to.overlaps(network)
            ):
                yield route

    def shown(self, route: Route) -> str:
        """A range with its device, by the address there if there is one."""
        name = device_name(route.device)
        for address in self.addresses:
            if address.index == route.device and network_of(
                address.value
            ) == str(route.to):
                return f"{address.value} of {name}"
        via = f" via {route.gateway}" if route.gateway else ""
        return f"the route to {route.to}{via} by {name}"


def conflict(
    cidr: str, *, bridge: str, around: Surroundings, in_use: Iterable[InUse]
) -> str:
    """Return why a bridge may not take a network over; one line, or empty.

    :param bridge: its name, whether it is there or not
    """
    network = IPv4Network(cidr, strict=False)
    index = device_index(bridge)
    for each in in_use:
        address = IPv4Address(each.address)
        device = around.way(address) if address in network else 0
        if device not in (0, index):
            return (
                f"network {network} of {bridge} holds {each.address}, "
                f"{each.what} of this host, which is reached by "
                f"{device_name(device)} and would be no more: {REMEDY}"
            )
    return overlap(cidr, bridge=bridge, around=around)


def overlap(cidr: str, *, bridge: str, around: Surroundings) -> str:
    """Return which range of another device a network overlaps, or empty."""
    network = IPv4Network(cidr, strict=False)
    for route in around.ranges(network, device_index(bridge)):
        return (
            f"network {network} of {bridge} overlaps {around.shown(route)}, "
            f"what is reached there would be no more: {REMEDY}"
        )
    return ""


def led_to(address: str, *, bridge: str, around: Surroundings) -> str:
    """Return the route by another device to just an address, or empty."""
    index = device_index(bridge)
    for route in around.routes:
        if route.device != index and route.to == IPv4Network(address):
            return around.shown(route)
    return ""


def foreseen(cidr: str, *, bridge: str, in_use: Iterable[InUse]) -> str:
    """Return what this host can say against a network that is new, or empty.

    That it cannot say anything is said too, and stops nobody.
    """
    network = IPv4Network(cidr, strict=False)
    try:
        around = Surroundings.read()
    except (HostSetupError, OSError) as error:
        return f"whether {network} is this host's own is not known: {error}"
    text = conflict(cidr, bridge=bridge, around=around, in_use=in_use)
    if text:
        return text
    held = [e for e in in_use if IPv4Address(e.address) in network]
    if not held:
        return ""
    named = ", ".join(f"{each.address} ({each.what})" for each in held)
    return f"network {network} of {bridge} holds {named}: set aside"


def own_ways(
    cidr: str, *, bridge: str, around: Surroundings, in_use: Iterable[InUse]
) -> frozenset[str]:
    """Return the devices beside its bridge that truly lead to a network.

    Who comes in by them with an address of it is no forger.  A device that has
    one of ours is none: it is the bridge, which somebody renamed.
    """
    network = IPv4Network(cidr, strict=False)
    index = device_index(bridge)
    used = [IPv4Address(each.address) for each in in_use]
    found = {around.way(each) for each in used if each in network}
    found |= {route.device for route in around.ranges(network, index)}
    found -= {
        each.index
        for each in around.addresses
        if each.leads_to_network and IPv4Address(each.ip) in network
    }
    return frozenset(map(device_name, found - {0, index}))


def misplaced(
    around: Surroundings, in_use: Iterable[InUse]
) -> tuple[Address, ...]:
    """Return addresses of ours that keep this host from what it needs.

    It is the very address of who is needed, or what is needed is on the link
    of another device and yet looked for by ours.
    """
    ours = [each for each in around.addresses if each.ours]
    needed = [IPv4Address(each.address) for each in in_use if not each.is_own]
    return tuple(
        each
        for each in ours
        if any(_is_misplaced(each, address, around) for address in needed)
    )


def _is_misplaced(
    ours: Address, needed: IPv4Address, around: Surroundings
) -> bool:
    if str(needed) == ours.ip:
        return True
    network = IPv4Network(network_of(ours.value))
    if needed not in network or str(needed) in (
        each.ip for each in around.addresses
    ):
        return False
    is_elsewhere = any(
        needed in route.to for route in around.ranges(network, ours.index)
    )
    return is_elsewhere and _source(needed) == ours.ip


def _source(there: IPv4Address) -> str:
    """The address that the host would speak from; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(there), _DISCARD_PORT))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def network_of(address: str) -> str:
    """Return the network that an address with its prefix is of.

    >>> network_of("10.0.0.1/24")
    '10.0.0.0/24'
    """
    return str(IPv4Interface(address).network)
