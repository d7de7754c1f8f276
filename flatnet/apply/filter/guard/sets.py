"""What stands in the guard's sets: of single ports, and of the host.

Who comes or goes costs its own elements: see `Gathered`.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from functools import lru_cache

from flatnet.apply.filter.gathered import Gathered
from flatnet.apply.filter.guard.nft_keys import Element
from flatnet.apply.link.strangers import Strangers
from flatnet.state.plan import Guard, GuardedPort

Placed = tuple[str, Element]
_REMEMBERED = 1 << 13
_HOST = ""


class GuardSets:
    """The elements of the guard's sets, for one guard after the other."""

    def __init__(self) -> None:
        self._gathered = Gathered()
        # By their identities, as most are those of the last time.
        self._ports: dict[int, GuardedPort] = {}
        self._prevents: bool | None = None

    def note(self, guard: Guard, found: Strangers) -> frozenset[str]:
        """Take over a guard; return the sets that are others than before."""
        ports = {id(port): port for port in guard.ports}
        gone = self._ports.keys() - ports.keys()
        fresh = ports.keys() - self._ports.keys()
        if guard.prevent_spoofing != self._prevents:
            fresh = set(ports)
        for number in gone:
            self._gathered.put(_key(self._ports[number]), ())
        for number in fresh:
            port = ports[number]
            elements = port_elements(port, claims=guard.prevent_spoofing)
            self._gathered.put(_key(port), elements)
        self._ports, self._prevents = ports, guard.prevent_spoofing
        self._gathered.put(_HOST, host_elements(guard, found))
        return self._gathered.touched()

    def elements(self, name: str) -> frozenset[Element]:
        """All that a set holds."""
        return self._gathered.elements(name)


def _key(port: GuardedPort) -> str:
    return f"{port.name} {port.instance_uuid}"


@lru_cache(_REMEMBERED)
def port_elements(port: GuardedPort, *, claims: bool) -> frozenset[Placed]:
    """Return what a port has in sets, by their names.

    :param claims: whether nobody beyond an uplink may have what it has;
        where guests may use any address, so may they on other hosts
    """
    return frozenset(_of_port(port, claims=claims))


def host_elements(guard: Guard, found: Strangers) -> Iterator[Placed]:
    """Yield what the host and its networks have in sets."""
    for name, values in (
        ("uplinks", found.uplinks),
        ("dhcp_uplinks", found.serving),
        ("closed", found.closed),
        ("bridge_macs", found.macs),
        ("local_macs", found.macs),
    ):
        yield from ((name, (value,)) for value in values)
    for network in guard.networks:
        if network.serves and network.address:
            yield "name_servers", (network.address,)
    own = (each.address for each in guard.networks if each.address)
    yield from _local((*own, *found.link_local))


def _of_port(port: GuardedPort, *, claims: bool) -> Iterator[Placed]:
    name, mac = port.name, port.mac
    yield "ports", (name,)
    if port.filtered:
        yield "filtered", (name,)
    yield "macs", (name, mac)
    yield "hardware", (name, str(int(mac.replace(":", ""), 16)))
    for text in port.addresses:
        address = ipaddress.ip_address(text)
        yield f"ipv{address.version}", (name, str(address))
        yield f"guests{address.version}", (str(address),)
        if address.version == 6:
            yield "targets", (name, _hex(address))
    if claims:
        yield "local_macs", (mac,)
        yield from _local(port.addresses)


def _local(addresses: Iterable[str]) -> Iterator[Placed]:
    """What nobody beyond an uplink may claim."""
    for address in map(ipaddress.ip_address, addresses):
        yield f"local_ipv{address.version}", (str(address),)
        if isinstance(address, ipaddress.IPv6Address):
            yield "local_targets", (_hex(address),)


def _hex(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """An address as nft prints a raw payload."""
    return f"0x{int(address):032x}"
