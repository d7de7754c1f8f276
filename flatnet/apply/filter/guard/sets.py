"""What stands in the guard's sets: of single ports, and of the host.

Who comes or goes costs its own elements: see `Gathered`.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set

from flatnet.apply.filter import groupcast_mark
from flatnet.apply.filter.gathered import Gathered
from flatnet.apply.filter.guard.nft_keys import Element
from flatnet.apply.link.strangers import Strangers
from flatnet.apply.sequence_diff import differing
from flatnet.state.plan import METADATA, Guard, GuardedNetwork, GuardedPort

Placed = tuple[str, Element]
_HOST = ""


class GuardSets:
    """The elements of the guard's sets, for one guard after the other."""

    def __init__(self) -> None:
        self._gathered = Gathered()
        self._ports: tuple[GuardedPort, ...] = ()
        self._host: frozenset[Placed] = frozenset()
        self._prevents = True

    def note(
        self, guard: Guard, found: Strangers
    ) -> Mapping[str, set[Element]]:
        """Take over a guard.

        :returns: by the names of sets, all elements that may have come to
            one or have left it
        """
        went, came = differing(self._ports, guard.ports)
        if guard.prevent_spoofing != self._prevents:
            went, came = list(self._ports), list(guard.ports)
        host = frozenset(host_elements(guard, found))
        moved = set(self._host ^ host)
        self._gathered.put(_HOST, host)
        for port in went:
            moved |= port_elements(port, claims=self._prevents)
            self._gathered.put(_key(port), ())
        for port in came:
            elements = port_elements(port, claims=guard.prevent_spoofing)
            moved |= elements
            self._gathered.put(_key(port), elements)
        self._ports, self._host = guard.ports, host
        self._prevents = guard.prevent_spoofing
        by_name: dict[str, set[Element]] = defaultdict(set)
        for name, element in moved:
            by_name[name].add(element)
        return by_name

    def elements(self, name: str) -> Set[Element]:
        """All that a set holds, until another guard is taken over."""
        return self._gathered.view(name)


def _key(port: GuardedPort) -> str:
    return f"{port.name} {port.instance_uuid}"


def port_elements(port: GuardedPort, *, claims: bool) -> frozenset[Placed]:
    """Return what a port has in sets, by their names.

    :param claims: whether nobody beyond an uplink may have what it has;
        where guests may use any address, so may they on other hosts, and
        one that moves is heard wherever it is
    """
    return frozenset(_of_port(port, claims=claims and not port.moves))


def host_elements(guard: Guard, found: Strangers) -> Iterator[Placed]:
    """Yield what the host and its networks have in sets."""
    for name, values in (
        ("uplinks", found.uplinks),
        ("closed", found.closed),
        ("bridge_macs", found.macs),
        ("local_macs", found.macs),
        ("elsewhere", found.elsewhere),
    ):
        yield from ((name, (value,)) for value in values)
    by_bridge: dict[str, set[str]] = defaultdict(set)
    for bridge, uplink in found.ways:
        by_bridge[bridge].add(uplink)
    for network in guard.networks:
        if everybody := groupcast_mark.broadcast(network.cidr):
            yield "broadcasts", (everybody,)
        yield from _of_server(network, by_bridge[network.bridge])
    own = (each.address for each in guard.networks if each.address)
    routers = [router for each in guard.networks for router in each.routers]
    yield from (("routers", (each,)) for each in routers)
    # Where this host has it for the guests of all it is nobody else's.
    metadata = {METADATA for each in guard.networks if each.metadata == "all"}
    yield from _local((*own, *routers, *metadata, *found.link_local))


def _of_server(
    network: GuardedNetwork, uplinks: Iterable[str]
) -> Iterator[Placed]:
    """Where a network's DHCP and name server is, and who may ask it."""
    if network.serves and network.address:
        yield "name_servers", (network.address,)
        if not network.shared:
            yield "own_servers", (network.address,)
    elif network.server:
        yield "name_servers", (network.server,)
    for uplink in uplinks:
        if network.metadata == "own":
            yield "metadata_uplinks", (uplink,)
        if network.routers:
            yield "router_uplinks", (uplink,)
        if network.serves:
            yield "dhcp_uplinks", (uplink,)
            if not network.shared:
                yield "own_uplinks", (uplink,)
        elif network.shared:
            yield "asking_uplinks", (uplink,)
            yield from _beyond(network, uplink)


def _beyond(network: GuardedNetwork, uplink: str) -> Iterator[Placed]:
    """The server beyond an uplink, by its MAC as soon as that is known."""
    if not network.server:
        return
    if network.server_mac:
        for address in (network.server, METADATA):
            yield "servers", (uplink, network.server_mac, address)
            yield "server_ipv4", (uplink, address)
    else:
        yield "new_servers", (uplink, network.server)


def _of_port(port: GuardedPort, *, claims: bool) -> Iterator[Placed]:
    name, mac = port.name, port.mac
    alone: Element = (name,)
    yield "ports", alone
    if port.filtered:
        yield "filtered", alone
        if port.groups:
            yield "groupcasts", (name, groupcast_mark.mark(port.groups))
    if port.hairpin:
        yield "hairpins", (name, name)
    yield "macs", (name, mac)
    yield "hardware", (name, str(int(mac.replace(":", ""), 16)))
    for text in port.addresses:
        address = ipaddress.ip_address(text)
        # One object in all sets, and in the plan if it is written the same.
        alone = (text if text == str(address) else str(address),)
        yield f"ipv{address.version}", (name, *alone)
        yield f"guests{address.version}", alone
        if port.filtered:
            yield f"judged{address.version}", alone
        if claims:
            yield f"local_ipv{address.version}", alone
        if address.version == 6:
            target = _hex(address)
            yield "targets", (name, target)
            if claims:
                yield "local_targets", (target,)
    if claims:
        yield "local_macs", (mac,)


def _local(addresses: Iterable[str]) -> Iterator[Placed]:
    """What nobody beyond an uplink may claim."""
    for address in map(ipaddress.ip_address, addresses):
        yield f"local_ipv{address.version}", (str(address),)
        if isinstance(address, ipaddress.IPv6Address):
            yield "local_targets", (_hex(address),)


def _hex(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """An address as nft prints a raw payload."""
    return f"0x{int(address):032x}"
