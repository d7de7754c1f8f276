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

from flatnet.plan.dns_names import Names, renamed
from flatnet.plan.ground import Ground
from flatnet.plan.usable_rows import is_hosts
from flatnet.state.mappings import differing
from flatnet.state.plan import NamesSlice
from flatnet.state.sliced_collections import SlicedMap

# Addresses of a slice.
SLICE = 256
# Ranges of networks.
_REMEMBERED = 256
# What a slice is to say of addresses: a name, or nothing.
_Edits = dict[int, dict[str, str | None]]


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
        lines: dict[str, str | None] = {}
        for uuid in others:
            lines |= dict.fromkeys(_lines(known, was, key, uuid))
        for uuid in others:
            lines |= _lines(found, now, key, uuid)
        cidr = now.networks[key].fit.network.cidr
        slices = slices.changed(*_sliced(slices, key, _edits(lines, cidr)))
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
    """The networks whose range is another."""
    return {
        key
        for key in served
        if key in was.networks
        and was.networks[key].fit.network.cidr
        != now.networks[key].fit.network.cidr
    }


def _lines(
    names: Names, ground: Ground, network: int, uuid: str
) -> dict[str, str]:
    """What an instance elsewhere is called, by its addresses."""
    row, name = ground.rows.named.get((network, uuid)), names.of(uuid)
    if row is None or name is None or ground.has(network, uuid):
        return {}
    cidr = ground.networks[network].fit.network.cidr
    return {each: name for each in row.addresses if is_hosts(each, cidr)}


def _place(address: str, cidr: str) -> int:
    """The number of the slice that an address is in."""
    return (int(ipaddress.IPv4Address(address)) - _first(cidr)) // SLICE


def _edits(lines: Mapping[str, str | None], cidr: str) -> _Edits:
    found: _Edits = defaultdict(dict)
    for address, name in lines.items():
        found[_place(address, cidr)][address] = name
    return found


@lru_cache(_REMEMBERED)
def _first(cidr: str) -> int:
    return int(ipaddress.IPv4Network(cidr).network_address)


def _sliced(
    slices: Mapping[str, NamesSlice], network: int, edits: _Edits
) -> tuple[dict[str, NamesSlice], list[str]]:
    """Return the slices that edits make, and the keys of those left empty."""
    put, gone = {}, []
    for number, edit in edits.items():
        key = f"{network} {number}"
        before = slices[key].names if key in slices else ()
        lines = {**dict(before), **edit}.items()
        names = [(address, name) for address, name in lines if name]
        if names:
            names.sort(key=_order)
            put[key] = NamesSlice(network, number, tuple(names))
        else:
            gone.append(key)
    return put, gone


def _order(line: tuple[str, str]) -> int:
    return int(ipaddress.IPv4Address(line[0]))


def _of_network(slices: Iterable[str], network: int) -> list[str]:
    return [key for key in slices if key.startswith(f"{network} ")]
