"""The layer 2 guard: what iptables cannot see of what crosses a bridge.

Goals, and how each is met:

* No gap.  A port is judged by its name, and whatever is named as ours and is
  not planned passes nothing in either direction, so nothing has to happen in
  time when a port appears, whoever makes it.  The tables are there before
  the first port and stay until a plan has no guard.
* No forged frame.  A guest sends ARP, IPv4 and IPv6, untagged by what is on
  the wire, from its port's MAC and addresses.  Checked before the bridge
  learns, so that no forwarding table is poisoned.  What decides (UDP ports,
  ICMP types) must be readable to be let through, so that fragments and
  extension headers hide nothing.
* Delivered to whom it was judged for.  iptables judges by address and the
  bridge delivers by MAC; a port gets only what is for its own addresses.
* Others' devices.  Our names are `tap`, eight hexadecimal digits, a dash and
  two more; a mask over the name matches that form and no other tap (`tap0`,
  `tap100i0`).  The form belongs to flatnet: another product that names ports
  so (Neutron does) cannot share the host.
* Twice is once, and no rule is parsed: see `flatnet.apply.nft`.
* Fail closed.  A port whose MAC or name nft would not take is left out, so
  it passes nothing, and is reported; all others get theirs.

Two small tables stand beside the bridge's own: a packet whose input device,
for IP or ARP, is a port of ours did not come through the bridge (the port is
not enslaved, or the frame was for a group address) and is dropped.

Given up: nobody behind an uplink can claim the address of a guest that is
planned here, so during a migration the guest is heard from the other host
only once it left this host's plan.  In ND, the link-layer option may name
another's MAC for the sender's own address: what follows it there is dropped
by the check of the destination.  Beyond an uplink that is not ours alone
(FlatManager) guests may ask any DHCP server.
"""

import dataclasses
import ipaddress
import re
from collections.abc import Iterable

from flatnet.apply import nft
from flatnet.apply.guard_rules import (
    SET_KEYS,
    bridge_chains,
    stray_tables,
)
from flatnet.exceptions import HostSetupError
from flatnet.state import Changes, Failure, Guard, GuardedPort

TABLE = "flatnet"
FAMILIES = ("bridge", "inet", "arp")
_PORT = re.compile(r"tap[0-9a-f]{8}-[0-9a-f]{2}")
_DEVICE = re.compile(r"[A-Za-z0-9_.:@+-]{1,15}")
_MAC = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}")


def apply_guard(guard: Guard | None) -> Changes:
    """Make the guard's tables as planned, any number of times.

    :raises HostSetupError: nothing could be changed; what was stays
    """
    if guard is None:
        return Changes(tuple(_removed(family) for family in _present()))
    sound, failures = _sound(guard)
    lines, told, rewritten = [], [], []
    for table in guard_tables(sound):
        found = nft.read(table.family, table.name)
        if found is None or found.outline != nft.outline(table):
            lines.append(nft.replacement(table))
            rewritten.append(f"guard: table {table.family} {table.name} made")
            continue
        text, changes = nft.amendment(table, found.elements)
        lines.append(text)
        told += [f"guard: {change}" for change in changes]
    text = "".join(lines)
    if text:
        nft.write(text)
    return Changes((*rewritten, *told), failures)


def guard_tables(guard: Guard) -> tuple[nft.Table, ...]:
    """Return the tables, that of the bridge first.

    :raises HostSetupError: an uplink or gateway that nft would not take
    """
    chains = bridge_chains(
        prevent_spoofing=guard.prevent_spoofing, isolated=guard.isolated
    )
    elements = set_elements(guard)
    sets = tuple(
        nft.Set(name, SET_KEYS[name], elements[name])
        for name in sorted(nft.set_names(chains))
    )
    return (nft.Table("bridge", TABLE, chains, sets), *stray_tables(TABLE))


def set_elements(guard: Guard) -> dict[str, frozenset[nft.Element]]:
    """Return what each set holds, by its name."""
    for name in {*guard.uplinks, *guard.dhcp_uplinks}:
        if not _DEVICE.fullmatch(name):
            raise HostSetupError(f"{name!r} cannot be an uplink: rename it")
    own = [
        (port.name, ipaddress.ip_address(address))
        for port in guard.ports
        for address in port.addresses
    ]
    gateways = [ipaddress.ip_address(each[0]) for each in guard.gateways]
    everyone = {*gateways, *(address for _, address in own)}
    local_macs = {
        *(port.mac for port in guard.ports),
        *(mac for _, mac, _ in guard.gateways),
    }
    own4 = [(name, str(a)) for name, a in own if a.version == 4]
    own6 = [(name, a) for name, a in own if a.version == 6]
    all6 = [a for a in everyone if a.version == 6]
    return {
        "ports": _single(port.name for port in guard.ports),
        "uplinks": _single(guard.uplinks),
        "dhcp_uplinks": _single(guard.dhcp_uplinks),
        "macs": frozenset((port.name, port.mac) for port in guard.ports),
        "ipv4": frozenset(own4),
        "ipv6": frozenset((name, str(a)) for name, a in own6),
        "targets": frozenset((name, _hex(a)) for name, a in own6),
        "local_macs": _single(local_macs),
        "local_ipv4": _single(str(a) for a in everyone if a.version == 4),
        "local_ipv6": _single(str(a) for a in all6),
        "local_targets": _single(_hex(a) for a in all6),
    }


def _single(values: Iterable[str]) -> frozenset[nft.Element]:
    return frozenset((value,) for value in values)


def _hex(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """An address as nft prints a raw payload."""
    return f"0x{int(address):032x}"


def _sound(guard: Guard) -> tuple[Guard, tuple[Failure, ...]]:
    """Return the guard without the ports that nft would not take."""
    failures, ports = [], []
    for port in guard.ports:
        reason = _unsound(port)
        if reason is None:
            ports.append(port)
            continue
        uuids = (port.instance_uuid,) if port.instance_uuid else ()
        failures.append(Failure(f"port {port.name}", reason, uuids))
    sound = dataclasses.replace(guard, ports=tuple(ports))
    return sound, tuple(failures)


def _unsound(port: GuardedPort) -> str | None:
    """Return why a port cannot be guarded, none if it can."""
    if not _PORT.fullmatch(port.name):
        return f"{port.name!r} is not the name of a port: mend its row"
    if not _MAC.fullmatch(port.mac):
        return f"{port.mac!r} is not the MAC of a guest: mend its row"
    for address in port.addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            return f"{address!r} is not an address: mend its row"
    return None


def _present() -> tuple[str, ...]:
    return tuple(
        family for family in FAMILIES if nft.read(family, TABLE) is not None
    )


def _removed(family: str) -> str:
    nft.write(f"delete table {family} {TABLE}\n")
    return f"guard: table {family} {TABLE} removed"
