"""The layer 2 guard: what iptables cannot see of what crosses a bridge.

Goals, and how each is met:

* No gap.  Every port of a bridge of ours is a planned guest, an uplink or
  foreign (see `members`), by what is on the bridge and not by its name.  A
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
* Others' devices are left alone, whatever they are called.
* Twice is once, and no rule is parsed: see `flatnet.apply.nft`.  The tables
  are owned where the kernel can, and outlive others' flushes: see
  `flatnet.apply.libnftables`.
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

import ipaddress
from collections.abc import Hashable, Iterable

from flatnet.apply import claims, guard_routed, guard_rules, nft, nft_keys
from flatnet.apply.libnftables import Session
from flatnet.apply.link import DUMP, Reads
from flatnet.apply.members import Members, members
from flatnet.apply.nft_batch import OutdatedError
from flatnet.apply.nft_dump import elements
from flatnet.apply.nft_elements import write_elements
from flatnet.state import Changes, Guard
from flatnet.taken import InUse

TABLE = "flatnet"
FAMILIES = ("bridge", "inet", "arp")
_TRIES = 20


def apply_guard(
    session: Session,
    guard: Guard | None,
    in_use: Iterable[InUse] = (),
    devices: Reads = DUMP,
) -> Changes:
    """Make the guard's tables as planned, any number of times.

    :param in_use: what the host itself depends on, and is not cut off from
    :raises HostSetupError: nothing could be changed; what was stays
    """
    if guard is None:
        return Changes(_removed(session))
    found = members(guard, in_use, devices)
    tables = guard_tables(guard, found)
    claimed = elements(session.proven.asking, ("bridge", TABLE), claims.SET)
    for left in reversed(range(_TRIES)):
        try:
            made = _written(session, tables)
            break
        except OutdatedError:
            if not left:
                raise
    return Changes(
        made, warnings=found.warnings + claims.claims(guard, claimed)
    )


def _written(
    session: Session, tables: tuple[nft.Table, ...]
) -> tuple[str, ...]:
    found = {each: _known(session, each) for each in tables}
    session.adopt((table.family, table.name) for table in tables)
    whole = {
        table: present
        for table, present in found.items()
        if present is not None and nft.matches(table, present)
    }
    if len(whole) == len(tables):
        return _amended(session, whole)
    lines, told = [], []
    becomes: dict[Hashable, nft.Found | None] = {}
    for table in tables:
        if table in whole:
            changes = nft.amendment(table, whole[table].elements)
            lines.append(nft.amendment_text(changes))
            becomes[_key(table)] = nft.amended(whole[table], changes)
            continue
        # With what rules put into its sets since.
        present = nft.read(session, table.family, table.name)
        lines.append(nft.replacement(table, present))
        told.append(f"guard: table {table.family} {table.name} made")
        becomes[_key(table)] = None
    session.run("".join(lines), becomes)
    return tuple(told)


def _amended(
    session: Session, found: dict[nft.Table, nft.Found]
) -> tuple[str, ...]:
    """Mend the sets of tables that are whole.

    :raises OutdatedError: they may be something else by now
    """
    changes = {
        table: nft.amendment(table, present.elements)
        for table, present in found.items()
    }
    wanted = [change for those in changes.values() for change in those]
    if not wanted:
        return ()
    before = session.proven.at(map(_key, found))
    if before is None:
        raise OutdatedError
    after = write_elements(session, wanted, before)
    becomes = {
        _key(table): nft.amended(present, changes[table])
        for table, present in found.items()
    }
    session.proven.wrote(before, after, becomes)
    # The same ports stand in all tables; once is enough for the log.
    return tuple(
        f"guard: {each.set} +{len(each.added)} -{len(each.removed)}"
        for each in wanted
        if each.family == "bridge"
    )


def _known(session: Session, table: nft.Table) -> nft.Found | None:
    """What the kernel has of a table, from memory where that is proven."""
    return session.proven.read(
        _key(table), lambda: nft.read(session, table.family, table.name)
    )


def _key(table: nft.Table) -> Hashable:
    return ("guard", table.family)


def guard_tables(guard: Guard, found: Members) -> tuple[nft.Table, ...]:
    """Return the tables, that of the bridge first."""
    held = set_elements(guard, found)
    bridge = guard_rules.bridge_chains(
        prevent_spoofing=guard.prevent_spoofing, isolated=guard.isolated
    )
    return (
        _table("bridge", bridge, guard_rules.SET_KEYS, held),
        _table(
            "inet",
            guard_routed.inet_chains(guard, found),
            guard_routed.SET_KEYS,
            held,
        ),
        _table("arp", guard_routed.arp_chains(), guard_routed.SET_KEYS, held),
    )


def _table(
    family: str,
    chains: tuple[nft.Chain, ...],
    keys: dict[str, str],
    held: dict[str, frozenset[nft_keys.Element]],
) -> nft.Table:
    sets = tuple(
        nft.Set(name, keys[name], held.get(name, frozenset()))
        for name in sorted(nft.set_names(chains))
    )
    return nft.Table(family, TABLE, chains, sets)


def set_elements(
    guard: Guard, found: Members
) -> dict[str, frozenset[nft_keys.Element]]:
    """Return what each set holds, by its name."""
    ports = guard.ports
    own = [
        (port.name, ipaddress.ip_address(address))
        for port in ports
        for address in port.addresses
    ]
    own4 = [(name, str(a)) for name, a in own if a.version == 4]
    own6 = [(name, a) for name, a in own if a.version == 6]
    return {
        "ports": _single(port.name for port in ports),
        "filtered": _single(port.name for port in ports if port.filtered),
        "uplinks": _single(found.uplinks),
        "dhcp_uplinks": _single(found.serving),
        "closed": _single(found.closed),
        "macs": frozenset((port.name, port.mac) for port in ports),
        "hardware": frozenset(
            (port.name, str(int(port.mac.replace(":", ""), 16)))
            for port in ports
        ),
        "ipv4": frozenset(own4),
        "ipv6": frozenset((name, str(a)) for name, a in own6),
        "targets": frozenset((name, _hex(a)) for name, a in own6),
        "guests4": _single(address for _, address in own4),
        "guests6": _single(str(address) for _, address in own6),
        "bridge_macs": _single(found.macs),
        "name_servers": _single(
            network.address
            for network in guard.networks
            if network.serves and network.address
        ),
        **_local_elements(guard, found),
    }


def _local_elements(
    guard: Guard, found: Members
) -> dict[str, frozenset[nft_keys.Element]]:
    """What nobody beyond an uplink may claim: the host's, and guests' too.

    Where guests may use any address, so may they on other hosts.
    """
    ports = guard.ports if guard.prevent_spoofing else ()
    macs = {*found.macs, *(port.mac for port in ports)}
    addresses = {
        ipaddress.ip_address(text)
        for text in (
            *(n.address for n in guard.networks if n.address),
            *found.link_local,
            *(address for port in ports for address in port.addresses),
        )
    }
    six = [each for each in addresses if each.version == 6]
    return {
        "local_macs": _single(macs),
        "local_ipv4": _single(str(a) for a in addresses if a.version == 4),
        "local_ipv6": _single(str(a) for a in six),
        "local_targets": _single(_hex(a) for a in six),
    }


def _single(values: Iterable[str]) -> frozenset[nft_keys.Element]:
    return frozenset((value,) for value in values)


def _hex(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """An address as nft prints a raw payload."""
    return f"0x{int(address):032x}"


def _removed(session: Session) -> tuple[str, ...]:
    present = [
        family
        for family in FAMILIES
        if nft.read(session, family, TABLE) is not None
    ]
    session.adopt((family, TABLE) for family in present)
    session.run(
        "".join(f"delete table {each} {TABLE}\n" for each in present),
        {("guard", each): None for each in FAMILIES},
    )
    for family in present:
        session.lost((family, TABLE))
    return tuple(
        f"guard: table {family} {TABLE} removed" for family in present
    )
