"""Remove what flatnet made and the plan no longer names."""

from pathlib import Path

from flatnet.apply.links import ERRORS, Address, Host, Link, host
from flatnet.apply.ports import is_device, remove_port
from flatnet.state import Changes, Plan


def remove_ports(plan: Plan) -> Changes:
    """Remove what is ours and not in the plan.

    Addresses go first, then taps and veth pairs, then bridges that no
    foreign port is left on; uplinks of the plan do not count, for they are
    about to move.
    """
    with host() as found:
        for address in list(found.addresses):
            _remove_stale(found, address, plan)
        ports = {
            port.name
            for bridge in plan.bridges
            for port in bridge.ports
            if is_device(port)
        }
        for link in sorted(found.links.values(), key=lambda each: each.name):
            if link.ours and link.kind != "bridge" and link.name not in ports:
                remove_port(found, link)
        for link in _stale_bridges(found, plan):
            try:
                found.delete(link)
                found.made.append(f"bridge {link.name} removed")
            except ERRORS as error:
                found.fail(f"bridge {link.name}", error)
        return Changes(tuple(found.made), tuple(found.failures))


def _remove_stale(found: Host, address: Address, plan: Plan) -> None:
    """Remove an address of ours that the plan does not have."""
    link = found.by_index(address.index)
    planned = {(bridge.name, bridge.address) for bridge in plan.bridges}
    if link is None or not address.ours:
        return
    if (link.name, address.value) in planned:
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
            f"bridge {link.name}: address {address.value} removed"
        )
    except ERRORS as error:
        found.fail(f"bridge {link.name}", error)


def _stale_bridges(found: Host, plan: Plan) -> list[Link]:
    names = {bridge.name for bridge in plan.bridges}
    uplinks = {bridge.uplink for bridge in plan.bridges}
    return [
        link
        for link in sorted(found.links.values(), key=lambda each: each.name)
        if link.ours
        and link.kind == "bridge"
        and link.name not in names
        and all(
            slave.ours or slave.name in uplinks
            for slave in found.slaves(link.index)
        )
    ]
