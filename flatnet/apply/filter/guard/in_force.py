"""Whose part of the guard is in force in the kernel; as `iptables.in_force`.

A rule of the guard carries a mark of its own text.  Those that an instance
needs are all but the rules about the networks of others, so a guard is made
that knows no others, and what is made of it must be there in its order; so
must what the sets hold of the instance's ports, and nothing else of them.
"""

from collections.abc import Iterable
from dataclasses import replace

from flatnet.apply.filter.guard import nft, nft_keys
from flatnet.apply.filter.guard.guard import Guarding
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.guard.sets import port_elements
from flatnet.apply.link.strangers import Strangers, strangers
from flatnet.exceptions import HostSetupError
from flatnet.state.plan import Guard, GuardedPort, Plan

_Found = dict[str, nft.FoundTable]
_MARK = "flatnet:"
_NAME_SIZE = 16


def unguarded(
    plan: Plan, session: Session, guarding: Guarding
) -> frozenset[str]:
    """Return the uuids of the instances that are not guarded as planned.

    :param guarding: what is known of rules that were in force
    """
    guard = plan.guard
    if guard is None:
        return frozenset()
    everyone = frozenset(each.instance_uuid for each in guard.ports)
    try:
        found = strangers(guard)
        tables = Guarding().tables(guard, found)
        present = _present(session, tables)
    except HostSetupError:
        return everyone
    if len(present) < len(tables) or _lets_in(found, present):
        return everyone
    recognise = guarding.digests.recognise
    if not all(recognise(family, each) for family, each in present.items()):
        return everyone
    bridges = {
        port.name: bridge.name
        for bridge in plan.bridges
        for port in bridge.ports
    }
    sound = {
        bridge
        for bridge in set(bridges.values())
        if _has_rules(_of_bridge(guard, bridge), found, present)
    }
    held = {family: _by_port(tables, each) for family, each in present.items()}
    return frozenset(
        port.instance_uuid
        for port in guard.ports
        if bridges.get(port.name) not in sound
        or not _has_elements(guard, port, tables, present, held)
    )


def _present(session: Session, tables: tuple[nft.NftTable, ...]) -> _Found:
    found = {
        table.family: nft.read(session, table.family, table.name)
        for table in tables
    }
    return {family: each for family, each in found.items() if each}


def _lets_in(found: Strangers, present: _Found) -> bool:
    """Whether a port that is closed now still counts as an uplink."""
    closed = {nft_keys.encoded("type ifname", (n,)) for n in found.closed}
    uplinks = present["bridge"].elements.get("uplinks", set())
    return not closed.isdisjoint(uplinks)


def _of_bridge(guard: Guard, bridge: str) -> Guard:
    networks = tuple(n for n in guard.networks if n.bridge == bridge)
    return replace(guard, networks=networks)


def _has_rules(guard: Guard, found: Strangers, present: _Found) -> bool:
    """Whether all rules of this guard are there, in their order."""
    for table in Guarding().tables(guard, found):
        there = present[table.family]
        wanted = nft.layout(table)
        if _frame(wanted) != _frame(there.layout):
            return False
        marks = _marks(there.layout)
        if not all(each[1].startswith(_MARK) for each in marks):
            return False
        needed = _marks(wanted)
        if [each for each in marks if each in set(needed)] != needed:
            return False
        plain = {each.name for each in table.sets if not each.is_dynamic}
        if plain & there.odd:
            return False
    return True


def _frame(layout: Iterable[tuple[object, ...]]) -> set[tuple[object, ...]]:
    """All of an outline but its rules."""
    return {entry for entry in layout if entry[0] != "rule"}


def _marks(layout: Iterable[tuple[object, ...]]) -> list[tuple[str, str]]:
    """The (chain, mark) of the rules, by their place in each chain."""
    rules = [entry[1:] for entry in layout if entry[0] == "rule"]
    return [(str(c), str(m)) for c, _, m in sorted(rules, key=_place)]


def _place(rule: tuple[object, ...]) -> tuple[str, int]:
    return str(rule[0]), int(str(rule[1]))


def _by_port(
    tables: tuple[nft.NftTable, ...], present: nft.FoundTable
) -> dict[tuple[str, bytes], set[bytes]]:
    """What the sets that are about ports hold, by set and port."""
    found: dict[tuple[str, bytes], set[bytes]] = {}
    names = {s.name for t in tables for s in t.sets if _is_about_ports(s)}
    for name in names & present.elements.keys():
        for key in present.elements[name]:
            found.setdefault((name, key[:_NAME_SIZE]), set()).add(key)
    return found


def _is_about_ports(each: nft.Set) -> bool:
    return nft_keys.parts(each.key)[0] in ("ifname", "iifname")


def _has_elements(
    guard: Guard,
    port: GuardedPort,
    tables: tuple[nft.NftTable, ...],
    present: _Found,
    held: dict[str, dict[tuple[str, bytes], set[bytes]]],
) -> bool:
    own: dict[str, set[nft_keys.Element]] = {}
    for name, element in port_elements(port, claims=guard.prevent_spoofing):
        own.setdefault(name, set()).add(element)
    device = nft_keys.encoded("type ifname", (port.name,))
    for table in tables:
        for each in table.sets:
            if each.is_dynamic:
                continue
            wanted = {
                nft_keys.encoded(each.key, element)
                for element in own.get(each.name, ())
            }
            there: frozenset[bytes] | set[bytes]
            there = present[table.family].elements.get(each.name, set())
            if _is_about_ports(each):
                there = held[table.family].get((each.name, device), set())
                if there - wanted:
                    return False
            if not wanted <= there:
                return False
    return True
