"""What of that which happened to devices is anything to us.

Pure, and of the cost of what happened: who judges a thousand ports because a
container's device came up is late for whoever flushes rules.

What a guest moves, the carrier of its port, is apart from what somebody
does to a device: the one is to be told, the other to be undone.
"""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface, IPv4Network

from flatnet.apply.link import metadata_address
from flatnet.apply.link.device_changes import DeviceChanges
from flatnet.apply.link.link import SWITCHES, Address, Link
from flatnet.state.effects import Subject, Surface
from flatnet.state.plan import Guard, Plan

NO_NAMES: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Subjects:
    """The names that a plan has for devices, and its ranges.

    `ports` are those of guests, with the names of their bridges; `external`
    those of them that others make.  `guarded` are ports that the guard knows;
    others on a bridge are foreign to it.  `bridges` have their addresses.
    `floating` are pairs of an address, with its prefix, and its device.
    """

    ports: Mapping[str, str] = field(default_factory=dict)
    external: frozenset[str] = NO_NAMES
    guarded: frozenset[str] = NO_NAMES
    bridges: Mapping[str, frozenset[str]] = field(default_factory=dict)
    uplinks: frozenset[str] = NO_NAMES
    ranges: tuple[IPv4Network, ...] = ()
    floating: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Concern:
    """What is to be done about what happened.

    `ports` are those of guests that somebody changed, `external` those that
    others made and may change, `carriers` those whose guest came or went.
    `others` are bridges, and further devices of ours or ones that we use.
    `members`: who is on the bridges is to be read again; `ways`: so is who
    leads to their networks.
    """

    ports: frozenset[str] = NO_NAMES
    external: frozenset[str] = NO_NAMES
    carriers: frozenset[str] = NO_NAMES
    others: frozenset[Subject] = frozenset()
    members: bool = False
    ways: bool = False

    def __or__(self, other: "Concern") -> "Concern":
        return Concern(
            self.ports | other.ports,
            self.external | other.external,
            self.carriers | other.carriers,
            self.others | other.others,
            self.members or other.members,
            self.ways or other.ways,
        )


NOTHING = Concern()


def subjects(plan: Plan) -> Subjects:
    """Return what devices can be to a plan."""
    external = (
        port.name
        for bridge in plan.bridges
        for port in bridge.ports
        if port.kind == "external"
    )
    guard = plan.guard or Guard()
    return Subjects(
        ports={p.name: b.name for b in plan.bridges for p in b.ports},
        external=frozenset(external),
        guarded=frozenset(each.name for each in guard.ports),
        bridges={each.name: each.addresses for each in plan.bridges}
        | _of_metadata(plan),
        uplinks=frozenset(b.uplink for b in plan.bridges if b.uplink),
        ranges=tuple(
            IPv4Network(each.cidr, strict=False) for each in guard.networks
        ),
        floating=frozenset(
            (f"{each.address}/32", each.device)
            for each in plan.filter.floating
        ),
    )


def _of_metadata(plan: Plan) -> dict[str, frozenset[str]]:
    """The device of the address of metadata, with that."""
    if not plan.has_metadata:
        return {}
    device, address = metadata_address.PLACE
    return {device: frozenset((address,))}


def concern(
    moved: DeviceChanges,
    known: Subjects,
    find: Callable[[str], Link | None],
    addresses: Callable[[], Iterable[Address]],
) -> Concern:
    """Return what of this is anything to a plan.

    :param find: knows a device by its name
    :param addresses: reads those that there are; asked where it matters
    """
    bridges = {
        link.index: name
        for name in known.bridges
        if (link := find(name)) is not None
    }
    found = NOTHING
    for before, now in moved.links:
        # What took its place is judged for itself, or is our own work.
        if now or not (before and find(before.name)):
            found |= _of_link(before, now, known, frozenset(bridges))
    heard = [e for e in moved.addresses if e.ours or e.index in bridges]
    if heard:
        floating = {
            (link.index, value)
            for value, device in known.floating
            if (link := find(device)) is not None
        }
        found |= _of_addresses(heard, known, bridges, addresses, floating)
    others = moved.addresses.difference(heard)
    return found | Concern(ways=any(_is_of(e, known.ranges) for e in others))


def _of_link(
    before: Link | None,
    now: Link | None,
    known: Subjects,
    bridges: frozenset[int],
) -> Concern:
    names = frozenset(each.name for each in (before, now) if each)
    ports = names & known.ports.keys()
    if _fixed(before) == _fixed(now):
        return Concern(carriers=ports)
    found = Concern(
        ports=ports - known.external, external=ports & known.external
    )
    if ports and names <= known.guarded:
        return found
    mine = {
        Subject(Surface.BRIDGE, name) for name in names & known.bridges.keys()
    }
    used = {Subject(Surface.UPLINK, name) for name in names & known.uplinks}
    found |= Concern(others=frozenset(mine | used), members=bool(mine | used))
    # Of what was ours and has gone there is nothing left to do.
    if found == NOTHING and now and now.ours:
        found = Concern(others=frozenset((Subject(Surface.PORT, now.name),)))
    return found | _of_member(before, now, bridges)


def _of_member(
    before: Link | None, now: Link | None, bridges: frozenset[int]
) -> Concern:
    """What a device is to the guard: on a bridge, one, or a way past it."""
    if any(each and each.master in bridges for each in (before, now)):
        return Concern(members=True)
    names = {each.name for each in (before, now) if each}
    is_other = before is None or now is None or len(names) > 1
    if is_other and any(
        each and each.kind in SWITCHES for each in (before, now)
    ):
        return Concern(members=True)
    is_way = before and now and (before.up, before.name) != (now.up, now.name)
    return Concern(ways=bool(is_way))


def _of_addresses(
    heard: Iterable[Address],
    known: Subjects,
    bridges: Mapping[int, str],
    addresses: Callable[[], Iterable[Address]],
    floating: Set[tuple[int, str]],
) -> Concern:
    """What came of addresses of ours and of the bridges."""
    there = {(each.index, each.value) for each in addresses()}
    wrong = set()
    for each in heard:
        name = bridges.get(each.index, "")
        of_guest = (each.index, each.value) in floating
        of_bridge = known.bridges.get(name, NO_NAMES)
        is_planned = of_guest or each.value in of_bridge
        is_there = (each.index, each.value) in there
        if is_planned != is_there and (is_planned or each.ours):
            what = (
                Subject(Surface.FLOATING, each.ip)
                if of_guest
                else Subject(Surface.BRIDGE, name)
            )
            wrong.add(what)
    return Concern(others=frozenset(wrong), members=True)


def _is_of(address: Address, ranges: Iterable[IPv4Network]) -> bool:
    """Whether an address, or what its prefix leads to, is of a network."""
    if ":" in address.ip:
        return False
    network = IPv4Interface(address.value).network
    return any(network.overlaps(each) for each in ranges)


def _fixed(link: Link | None) -> Link | None:
    """All that somebody sets, and nothing that a guest moves."""
    return link and replace(link, carrier=False, peer=0, away=False)
