"""Remove what flatnet made and the plan no longer names.

Goals, and how each is met:

* A port that somebody uses goes only where a row says so (`Plan.gone`).
  One that the rows do not know, for whatever reason, is taken down, for
  nobody can say what it may send; it is kept, and named in each pass until
  the rows know it again, or its user has gone.
* A port that somebody renamed is the guest's all the same: it gets its name
  back, for a new one would be nobody's, and the guest cut off.
* A port whose instance's row names another host follows the row, but not
  under its guest: it is kept as it is while it is used.
* One that a caller has unplugged is kept while it is used too, but down.
"""

import contextlib
from collections.abc import Container, Iterable
from pathlib import Path

from flatnet.apply.grammar.needs import check_in_use
from flatnet.apply.link import metadata_address
from flatnet.apply.link.conflicts import Surroundings, misplaced
from flatnet.apply.link.device_reads import DUMP, Reads
from flatnet.apply.link.floating import is_floating
from flatnet.apply.link.link import MARK, Address, Link
from flatnet.apply.link.links import ERRORS, LinkPass, link_pass
from flatnet.apply.link.port_usage import unused
from flatnet.apply.link.ports import KINDS, host_mac, is_device, remove_all
from flatnet.state.changes import Changes
from flatnet.state.effects import Effect, Subject, Surface, Verb
from flatnet.state.plan import Plan, Port
from flatnet.state.sliced_collections import SlicedMap
from flatnet.state.taken_addresses import InUse

# As many as are held open at once, and as the kernel deletes in one go while
# nobody else can change any device.
_TOGETHER = 100
# Those of a plan, by name.
Ports = SlicedMap[str, Port]


def remove_ports(
    plan: Plan, devices: Reads = DUMP, *, ports: frozenset[str] | None = None
) -> Changes:
    """Remove what is ours and not in the plan.

    Addresses go first, then taps and veth pairs, then bridges that no
    port is left on; uplinks and ports of the plan do not count, for they are
    about to move.

    :param ports: the names of those of the plan to be looked at, none for all
    """
    with link_pass(devices) as found:
        for address in found.addresses:
            _remove_stale(found, address, plan)
        unplanned = _unplanned(found, plan.ports)
        warnings = _remove_ports(found, plan, unplanned, ports)
        for link in _stale_bridges(found, plan, unplanned):
            try:
                found.delete(link)
                found.made.append(
                    Effect(Surface.BRIDGE, Verb.REMOVED, link.name)
                )
            except ERRORS as error:
                found.fail(Subject(Surface.BRIDGE, link.name), error)
        return Changes(
            tuple(found.made), tuple(found.failures), tuple(warnings)
        )


def withdraw(needed: tuple[InUse, ...]) -> Changes:
    """Take back addresses of ours that keep the host from what it needs.

    An earlier version may have set them, and no row can be read before they
    are gone.

    :raises HostSetupError: what is needed is no address
    """
    for each in needed:
        check_in_use(each)
    around = Surroundings.read()
    wrong = {(each.index, each.value) for each in misplaced(around, needed)}
    with link_pass() as found:
        for address in found.addresses:
            if address.ours and (address.index, address.value) in wrong:
                _remove(found, address)
        return Changes(tuple(found.made), tuple(found.failures))


def _remove_ports(
    found: LinkPass,
    plan: Plan,
    unplanned: Iterable[str],
    ports: frozenset[str] | None,
) -> list[str]:
    """Remove what may go; return a line for each that is in the way.

    :param unplanned: the names of what is ours and no port of the plan
    :param ports: as for `remove_ports`
    """
    planned = plan.ports
    unfit = [bridge for bridge in plan.bridges if bridge.fault]
    for port in (port for bridge in unfit for port in bridge.ports):
        link = found.links.get(port.name)
        if link and link.ours:
            # Its rules are about to go.
            with contextlib.suppress(*ERRORS):
                _take_down(found, link)
    _rename_back(found, planned, unplanned)
    kept = planned.values() if ports is None else _of(planned, ports)
    leaving = _leaving(found, unplanned, kept)
    warnings: list[str] = []
    for first in range(0, len(leaving), _TOGETHER):
        some = leaving[first : first + _TOGETHER]
        warnings += _remove_unused(found, some, plan.gone, planned)
    return warnings


def _of(planned: Ports, names: Iterable[str]) -> list[Port]:
    return [planned[name] for name in names if name in planned]


def _rename_back(
    found: LinkPass, planned: Ports, unplanned: Iterable[str]
) -> None:
    """Give ports of the plan that bear other names their own, down."""
    others = [
        link for link in _there(found, unplanned) if link.kind != "bridge"
    ]
    missing = {
        (MARK + port.instance_uuid, host_mac(port.mac), KINDS[port.kind]): name
        for name, port in (planned.items() if others else ())
        if name not in found.links and is_device(port)
    }
    for link in others:
        # Two devices may bear the same marks.
        name = missing.pop((link.alias, link.mac, link.kind), None)
        if name is None:
            continue
        try:
            found.rename(found.write(link, state="down"), name)
            was = f"its name, which was {link.name}"
            found.made.append(Effect(Surface.PORT, Verb.SET, name, was))
        except ERRORS as error:
            found.fail(Subject(Surface.PORT, name), error)


def _unplanned(found: LinkPass, planned: Ports) -> list[str]:
    """The names of the devices of ours that are no ports of the plan."""
    device_index = found.devices.device_index()
    return sorted(device_index.ports.unplanned(planned) & device_index.marked)


def _there(found: LinkPass, names: Iterable[str]) -> list[Link]:
    """The devices of ours that have these names by now."""
    links = map(found.links.get, names)
    return [link for link in links if link and link.ours]


def _leaving(
    found: LinkPass, unplanned: Iterable[str], kept: Iterable[Port]
) -> list[Link]:
    """The ports of ours that may go, by name.

    :param kept: those of the plan that are looked at
    """
    others = [
        port.name
        for port in kept
        if port.stays != "always" or not is_device(port)
    ]
    leaving = [
        link
        for link in _there(found, (*unplanned, *others))
        if link.kind != "bridge"
    ]
    return sorted(leaving, key=lambda each: each.name)


def _remove_unused(
    found: LinkPass,
    links: Iterable[Link],
    gone: Container[str],
    planned: Ports,
) -> list[str]:
    """Remove those that nobody uses, or that are gone by their rows.

    One that was unplugged is down before its rules go.  From when a tap is
    seen to be free until it is gone nobody can open it.
    """
    with contextlib.ExitStack() as held:
        leaving, warnings = [], []
        for link in links:
            try:
                if link.name in gone or held.enter_context(
                    unused(found, link)
                ):
                    leaving.append(link)
                elif link.name not in planned:
                    _take_down(found, link)
                    warnings.append(_unknown(link))
                elif planned[link.name].stays == "unplugged":
                    _take_down(found, link)
            except ERRORS as error:
                mine = planned.get(link.name)
                uuids = (mine.instance_uuid,) if mine else ()
                found.fail(Subject(Surface.PORT, link.name), error, uuids)
        remove_all(found, leaving)
    return warnings


def _take_down(found: LinkPass, link: Link) -> None:
    if link.up:
        found.write(link, state="down")
        found.made.append(Effect(Surface.PORT, Verb.SHUT, link.name))


def _unknown(link: Link) -> str:
    instance = link.alias.removeprefix(MARK)
    return (
        f"port {link.name} of instance {instance} is in use, but no row wants "
        "it here: it is down and kept; if it is really to go, stop its guest "
        f"or delete it: ip link delete {link.name}"
    )


def _remove_stale(found: LinkPass, address: Address, plan: Plan) -> None:
    """Remove an address of ours that the plan does not have."""
    if not address.ours or is_floating(address):
        return
    link = found.by_index(address.index)
    planned = {
        (bridge.name, address)
        for bridge in plan.bridges
        for address in bridge.addresses
    }
    if plan.has_metadata:
        planned.add(metadata_address.PLACE)
    if link and (link.name, address.value) not in planned:
        _remove(found, address)


def _remove(found: LinkPass, address: Address) -> None:
    link = found.by_index(address.index)
    if link is None:
        return
    try:
        # Else the foreign addresses of the same subnet would go with it.
        Path(
            "/proc/sys/net/ipv4/conf", link.name, "promote_secondaries"
        ).write_text("1")
        ip, _, prefix = address.value.partition("/")
        found.netlink.addr(
            "del", index=link.index, address=ip, prefixlen=int(prefix)
        )
        found.made.append(
            Effect(
                Surface.BRIDGE,
                Verb.REMOVED,
                link.name,
                f"address {address.value}",
            )
        )
    except ERRORS as error:
        found.fail(Subject(Surface.BRIDGE, link.name), error)


def _stale_bridges(
    found: LinkPass, plan: Plan, unplanned: Iterable[str]
) -> list[Link]:
    uplinks = {bridge.uplink for bridge in plan.bridges}
    planned = {bridge.name for bridge in plan.bridges}
    return [
        link
        for link in _there(found, unplanned)
        if link.kind == "bridge"
        and link.name not in planned
        and all(
            slave.name in uplinks or slave.name in plan.ports
            for slave in found.slaves(link.index)
        )
    ]
