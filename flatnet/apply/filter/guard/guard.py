"""The layer 2 guard: what iptables cannot see of what crosses a bridge.

Goals, and how each is met:

* No gap.  Every port of a bridge of ours is a planned guest, an uplink or
  foreign (see `strangers`), by what is on the bridge and not by its name.  A
  planned port is known here before it is made and until it is gone, and what
  has just joined passes nothing to guests, to the segment or to the host's
  own address before it has been looked at.
* No forged frame.  A guest sends ARP, IPv4 and IPv6, untagged by what is on
  the wire, from its port's MAC and addresses.  Checked before the bridge
  learns, so that no forwarding table is poisoned.  What decides (UDP ports,
  ICMP types, DHCP's hardware address) must be readable to be let through, so
  that fragments and extension headers hide nothing.
* Delivered to whom it was judged for.  iptables judges by address and the
  bridge delivers by MAC; a port gets only what is for its own addresses.
* Nobody from outside claims to be inside: what is routed and bears a source
  of a flat network is dropped unless it came in by that network's bridge.
* No guest takes all: what it asks of the host, and what the host remembers
  for it, is limited by port or address before the shared thing.
* Nothing reaches a guest past the rules of iptables, which name the bridge:
  on one that somebody renamed nothing is for a guest.
* Others' devices are left alone, whatever they are called.
* Twice is once, and no rule is parsed: see `nft`.  The tables are owned where
  the kernel can, and outlive others' flushes: see `libnftables`.
* Fail closed.  A port that bears our mark and is not in the plan passes
  nothing.

Two small tables stand beside the bridge's own: a packet whose input device,
for IP or ARP, is a port of ours did not come through the bridge (the port is
not enslaved, or the frame was for a group address) and is dropped.

Given up: nobody behind an uplink can claim the address of a guest that is
planned here, so during a migration the guest is heard from the other host
only once it left this host's plan.  Beyond an uplink that is not ours alone
(FlatManager) guests may ask any DHCP server.  The milliseconds in which a
port that joined is not known are open for its broadcasts to the host.  With
spoofing allowed a guest is not held to the limits by address.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable

from flatnet.apply.filter.guard import claims, nft, peers, set_repairs
from flatnet.apply.filter.guard import routed as guard_routed
from flatnet.apply.filter.guard.bridge_rules import SET_KEYS, bridge_chains
from flatnet.apply.filter.guard.digests import Digests
from flatnet.apply.filter.guard.handovers import (
    NOBODY,
    Handovers,
    Parted,
    Wanted,
    nobody,
)
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.guard.nft_batch import OutdatedError
from flatnet.apply.filter.guard.nft_dump import elements
from flatnet.apply.filter.guard.nft_elements import Change
from flatnet.apply.filter.guard.nft_keys import Element
from flatnet.apply.filter.guard.set_edits import mend_sets, table_key
from flatnet.apply.filter.guard.sets import GuardSets
from flatnet.apply.filter.nft_proof import generation
from flatnet.apply.link.device_reads import DUMP, Reads
from flatnet.apply.link.strangers import Strangers, strangers
from flatnet.state.changes import Changes, joined
from flatnet.state.effects import Effect, Surface, Verb
from flatnet.state.plan import Guard
from flatnet.state.taken_addresses import InUse

TABLE = "flatnet"
FAMILIES = ("bridge", "inet", "arp")
_TRIES = 20
_Place = tuple[str, str]


class Guarding:
    """What is remembered of a guard, so that another costs what differs."""

    def __init__(self, digests: Digests | None = None) -> None:
        self.digests = Digests() if digests is None else digests
        # Who was on the bridges, as the tables were written for.
        self.strangers = Strangers()
        self._held = GuardSets()
        # What the kernel had of sets when they were as planned, and what may
        # be planned otherwise since.
        self._settled: dict[_Place, set[bytes]] = {}
        self._moved: dict[_Place, set[Element]] = defaultdict(set)

    def tables(
        self, guard: Guard, found: Strangers
    ) -> tuple[nft.NftTable, ...]:
        """Return the tables, that of the bridge first."""
        moved = self._held.note(guard, found)
        # Also of those that are not in these tables: nobody knows yet
        # whether they come into force.
        for place in self._settled:
            self._moved[place] |= moved.get(place[1], set())
        bridge = bridge_chains(
            prevent_spoofing=guard.prevent_spoofing,
            isolated=guard.isolated,
            is_router=any(each.routers for each in guard.networks),
        )
        inet = guard_routed.inet_chains(guard, found)
        arp = guard_routed.arp_chains(guard)
        return (
            self._table("bridge", bridge, SET_KEYS),
            self._table("inet", inet, guard_routed.SET_KEYS),
            self._table("arp", arp, guard_routed.SET_KEYS),
        )

    def changes(
        self, table: nft.NftTable, present: nft.FoundTable
    ) -> tuple[Change, ...]:
        """Return what mends the sets of a table that is whole."""
        found: list[Change] = []
        for each in table.sets:
            place = table.family, each.name
            held = present.elements[each.name]
            settled = self._settled.get(place)
            # What was read again is nearly always what it was.
            if settled is not held and settled != held:
                found += set_repairs.amendment(table, each, held)
            elif moved := self._moved.get(place):
                found += set_repairs.change(table, each, held, moved)
        return tuple(found)

    def settle(self, table: nft.NftTable, present: nft.FoundTable) -> None:
        """Note that the kernel has a table as planned."""
        for each in table.sets:
            place = table.family, each.name
            self._settled[place] = present.elements[each.name]
            self._moved.pop(place, None)

    def _table(
        self,
        family: str,
        chains: tuple[nft.NftChain, ...],
        keys: dict[str, str],
    ) -> nft.NftTable:
        names = sorted(nft.set_names(chains))
        sets = (
            nft.Set(name, keys[name], self._held.elements(name))
            for name in names
        )
        return nft.NftTable(family, TABLE, chains, tuple(sets))


def apply_guard(
    session: Session,
    guarding: Guarding,
    guard: Guard | None,
    in_use: Iterable[InUse] = (),
    devices: Reads = DUMP,
    cut: Callable[[frozenset[str]], Changes] = nobody,
    parted: Parted = NOBODY,
) -> Changes:
    """Make the guard's tables as planned, any number of times.

    :param in_use: what the host itself depends on, and is not cut off from
    :param cut: forgets all connections of addresses that change their port
    :param parted: the ports that go
    :raises HostSetupError: nothing could be changed; what was stays
    """
    if guard is None:
        guarding.strangers = Strangers()
        return Changes(_removed(session))
    found = guarding.strangers = strangers(guard, in_use, devices)
    tables = guarding.tables(guard, found)
    claimed = elements(session.proven.asking, ("bridge", TABLE), claims.SET)
    handovers = Handovers(cut, parted)
    for left in reversed(range(_TRIES)):
        try:
            made = _written(session, guarding, tables, handovers)
            break
        except OutdatedError:
            if not left:
                raise
    handovers.forget()
    warnings = found.warnings + claims.claims(guard, claimed)
    return joined(Changes(made, warnings=warnings), *handovers.done)


def _written(
    session: Session,
    guarding: Guarding,
    tables: tuple[nft.NftTable, ...],
    handovers: Handovers,
) -> tuple[Effect, ...]:
    found = {each: _known(session, each.family) for each in tables}
    session.adopt((table.family, table.name) for table in tables)
    whole = {
        table: present
        for table, present in found.items()
        if present is not None
        and nft.matches(table, present)
        and guarding.digests.recognise(table.family, present)
    }
    guarding.digests.note(whole)
    if len(whole) == len(tables):
        return _amended(session, guarding, whole, handovers)
    lines: list[str] = []
    amended: dict[nft.NftTable, tuple[Change, ...]] = {}
    becomes: dict[Hashable, nft.FoundTable | None] = {peers.PROOF: None}
    for table in tables:
        key = table_key(table.family)
        if table in whole:
            changes = amended[table] = guarding.changes(table, whole[table])
            lines.append(set_repairs.text(changes))
            becomes[key] = set_repairs.amended(whole[table], changes)
            continue
        lines.append(_replacement(session, table))
        becomes[key] = None
    before = generation(session.proven.asking)
    coming = handovers.coming(amended, whole)
    handovers.note(amended)
    session.run("".join(lines), becomes)
    handovers.ask(coming)
    made = [table for table in tables if table not in whole]
    _note_made(session, guarding, made, before)
    return tuple(
        Effect(Surface.GUARD, Verb.MADE, _named(each.family)) for each in made
    )


def _replacement(session: Session, table: nft.NftTable) -> str:
    """What makes a table anew, with what rules put into its sets since."""
    return nft.replacement(table, nft.read(session, table.family, table.name))


def _note_made(
    session: Session,
    guarding: Guarding,
    made: Iterable[nft.NftTable],
    before: int,
) -> None:
    """Note what the kernel made of our rules, if nobody else wrote since."""
    found = {table: _known(session, table.family) for table in made}
    if generation(session.proven.asking) != before + 1:
        found = dict.fromkeys(found)
    guarding.digests.note(found)


def _amended(
    session: Session,
    guarding: Guarding,
    found: dict[nft.NftTable, nft.FoundTable],
    handovers: Handovers,
) -> tuple[Effect, ...]:
    """Mend the sets of tables that are whole.

    :raises OutdatedError: they may be something else by now
    """

    def changes() -> Wanted:
        return {
            table: guarding.changes(table, present)
            for table, present in found.items()
        }

    made = mend_sets(session, found, changes, handovers)
    if not handovers.are_kept:
        for table, present in found.items():
            guarding.settle(table, present)
    return made


def read_tables(session: Session) -> None:
    """Read the tables for whoever asks next; errors as for `apply_guard`."""
    for family in FAMILIES:
        _known(session, family)


def _known(session: Session, family: str) -> nft.FoundTable | None:
    """What the kernel has of a table, from memory where that is proven."""
    return session.proven.read(
        table_key(family), lambda: nft.read(session, family, TABLE)
    )


def _named(family: str) -> str:
    return f"table {family} {TABLE}"


def _removed(session: Session) -> tuple[Effect, ...]:
    present = [
        family
        for family in FAMILIES
        if nft.read(session, family, TABLE) is not None
    ]
    session.adopt((family, TABLE) for family in present)
    session.run(
        "".join(f"delete table {each} {TABLE}\n" for each in present),
        {**{("guard", each): None for each in FAMILIES}, peers.PROOF: None},
    )
    for family in present:
        session.lost((family, TABLE))
    return tuple(
        Effect(Surface.GUARD, Verb.REMOVED, _named(family))
        for family in present
    )
