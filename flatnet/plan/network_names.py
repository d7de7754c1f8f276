"""The names that this host tells the guests of its networks.

Those of guests that it serves itself stand with their lines for DHCP; those
of all others of a network are planned here, in slices by address, so that who
comes or goes anywhere costs the slice that he is in.  A network's names are
told to nobody but its guests.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from flatnet.plan.addresses import of_family
from flatnet.plan.dns_names import Names, renamed
from flatnet.plan.ground import Ground
from flatnet.plan.usable_rows import is_hosts
from flatnet.state.mappings import differing
from flatnet.state.plan import NamesSlice
from flatnet.state.rows import address_order
from flatnet.state.sliced_collections import SlicedMap

# Addresses of a slice.
SLICE = 256
# Ranges of networks.
_REMEMBERED = 256
# The slice that says of an address what it is called.
_Line = tuple[int, str]


@dataclass(frozen=True)
class NetworkNames:
    """Names by network, and those of instances elsewhere in slices.

    `asked` are those, by network and uuid, whose name may be another than in
    the plan before.
    """

    domain: str
    names: Mapping[int, Names] = field(default_factory=dict)
    slices: SlicedMap[str, NamesSlice] = field(default_factory=SlicedMap)
    asked: frozenset[tuple[int, str]] = frozenset()

    def of(self, network: int, uuid: str) -> str | None:
        """Return the name of an instance in a network, if it has one."""
        names = self.names.get(network)
        return names.of(uuid) if names else None

    def lines(self, network: int, uuid: str) -> tuple[str, ...]:
        """Return the warning that it has none, where it should."""
        names = self.names.get(network)
        return names.lines(uuid) if names else ()


def network_names(
    before: NetworkNames, was: Ground, now: Ground
) -> NetworkNames:
    """Return the names of the networks that are served here.

    :param before: those that were made of `was`
    """
    touched = _touched(was, now)
    served = {key for key in now.networks if now.serves(key)}
    names, slices = dict(before.names), before.slices
    asked = set[tuple[int, str]]()
    for key in (before.names.keys() - served) | _moved(served, was, now):
        names.pop(key, None)
        slices = slices.changed({}, _of_network(slices, key))
    for key in sorted(served):
        if (known := names.get(key)) is None:
            known = Names(before.domain)
            touched[key] = {u for of, u in now.rows.named if of == key}
        names[key] = found = renamed(
            known,
            {uuid: now.rows.named.get((key, uuid)) for uuid in touched[key]},
        )
        others = touched[key] | differing(known.faults, found.faults)
        lines: dict[_Line, str | None] = {}
        for uuid in others:
            lines |= dict.fromkeys(_lines(known, was, key, uuid))
        for uuid in others:
            lines |= _lines(found, now, key, uuid)
        slices = slices.changed(*_sliced(slices, key, lines))
        asked.update((key, uuid) for uuid in others)
    return NetworkNames(before.domain, names, slices, frozenset(asked))


def _touched(was: Ground, now: Ground) -> defaultdict[int, set[str]]:
    """The instances by network whose rows, or place, may be another."""
    found = defaultdict[int, set[str]](set)
    for network, uuid in differing(was.rows.named, now.rows.named):
        found[network].add(uuid)
    for key in differing(was.rows.interfaces, now.rows.interfaces):
        for rows in (was.rows, now.rows):
            if each := rows.interfaces.get(key):
                found[each.network_id].add(each.instance_uuid)
    return found


def _moved(served: Iterable[int], was: Ground, now: Ground) -> set[int]:
    """The networks whose ranges are others."""
    return {
        key
        for key in served
        if was.serves(key) and _ranges(was, key) != _ranges(now, key)
    }


def _ranges(ground: Ground, network: int) -> tuple[str, str]:
    """Those that are served, the second of IPv6, or empty."""
    planned = ground.networks[network]
    server = planned.part.server
    six = server.ipv6.cidr if server and server.ipv6 else ""
    return planned.fit.network.cidr, six


def _lines(
    names: Names, ground: Ground, network: int, uuid: str
) -> dict[_Line, str]:
    """What an instance elsewhere is called, by its addresses.

    All are in the slice of the first in IPv4, so that each has one place.
    """
    row, name = ground.rows.named.get((network, uuid)), names.of(uuid)
    if row is None or name is None or ground.has(network, uuid):
        return {}
    cidr, six = _ranges(ground, network)
    four = [each for each in row.addresses if is_hosts(each, cidr)]
    if not four:
        return {}
    own = [a for a in of_family(row.addresses, 6) if six and _is_in(a, six)]
    place = (int(ipaddress.IPv4Address(four[0])) - _first(cidr)) // SLICE
    return {(place, address): name for address in (*four, *own)}


def _is_in(address: str, cidr: str) -> bool:
    return ipaddress.IPv6Address(address) in ipaddress.IPv6Network(cidr)


@lru_cache(_REMEMBERED)
def _first(cidr: str) -> int:
    return int(ipaddress.IPv4Network(cidr).network_address)


def _sliced(
    slices: Mapping[str, NamesSlice],
    network: int,
    lines: Mapping[_Line, str | None],
) -> tuple[dict[str, NamesSlice], list[str]]:
    """Return the slices that lines make, and the keys of those left empty.

    :param lines: names by slice and address, none where there is none now
    """
    put, gone = {}, []
    edits = defaultdict[int, dict[str, str | None]](dict)
    for (number, address), name in lines.items():
        edits[number][address] = name
    for number, edit in edits.items():
        key = f"{network} {number}"
        before = slices[key].names if key in slices else ()
        all_of_it = {**dict(before), **edit}.items()
        names = [(address, name) for address, name in all_of_it if name]
        if names:
            names.sort(key=_order)
            put[key] = NamesSlice(network, number, tuple(names))
        else:
            gone.append(key)
    return put, gone


def _order(line: tuple[str, str]) -> tuple[int, int, str]:
    return address_order(line[0])


def _of_network(slices: Iterable[str], network: int) -> list[str]:
    return [key for key in slices if key.startswith(f"{network} ")]
