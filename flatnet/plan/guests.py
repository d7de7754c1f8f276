"""The instances of this host: their addresses, and in which groups they are.

Whatever a row says that cannot be put into effect comes out as a warning
and lets nothing in.
"""

from collections.abc import Mapping

from flatnet.filtering import Guest
from flatnet.plan.addresses import is_mac, made_by, of_family
from flatnet.rows import Interface, Network, Snapshot
from flatnet.settings import Settings


def guests(
    snapshot: Snapshot, settings: Settings
) -> tuple[tuple[Guest, ...], tuple[str, ...]]:
    """Return the guests by their interfaces' uuids, and warnings on rows."""
    networks = {network.id: network for network in snapshot.networks}
    known = frozenset(group.id for group in snapshot.security_groups)
    here = [
        each
        for each in sorted(snapshot.interfaces, key=lambda each: each.uuid)
        if each.network_id in networks
    ]
    found = tuple(
        _guest(each, networks[each.network_id], known, settings)
        for each in here
    )
    return found, _warnings(here)


def rule_warnings(
    snapshot: Snapshot, reasons: Mapping[tuple[int, int], str]
) -> tuple[str, ...]:
    """Return a line for each rule that is left out, by (group id, id)."""
    warnings = []
    for (group_id, rule_id), reason in sorted(reasons.items()):
        instances = sorted(
            interface.instance_uuid
            for interface in snapshot.interfaces
            if group_id in interface.security_group_ids
        )
        warnings.append(
            f"security group rule {rule_id} of group {group_id} is left "
            f"out for instances {', '.join(instances)}: {reason}"
        )
    return tuple(warnings)


def _guest(
    interface: Interface,
    network: Network,
    known: frozenset[int],
    settings: Settings,
) -> Guest:
    """One that is in a group that nobody knows is filtered all the same."""
    own = made_by(interface.mac, network.cidr_v6)
    grouped = bool(interface.security_group_ids)
    return Guest(
        uuid=interface.uuid,
        instance_uuid=interface.instance_uuid,
        bridge=network.bridge,
        addresses=(
            *of_family(interface.addresses, 4),
            *of_family((*interface.addresses, *own), 6),
        ),
        filtered=grouped or not settings.allow_same_net_traffic,
        groups=tuple(sorted(known & set(interface.security_group_ids))),
    )


def _warnings(here: list[Interface]) -> tuple[str, ...]:
    malformed = [
        (each.instance_uuid, text)
        for each in here
        for text in each.addresses
        if not of_family((text,), 4) + of_family((text,), 6)
    ] + [
        (each.instance_uuid, each.mac) for each in here if not is_mac(each.mac)
    ]
    return tuple(
        f"instance {uuid}: {text!r} is malformed; nothing is let in for it"
        for uuid, text in malformed
    ) + tuple(
        f"instance {each.instance_uuid}: MAC {each.mac!r} is that of the "
        "host's end of its port, so it hears no neighbour; choose another "
        "first octet than fe:"
        for each in here
        if each.mac.lower().startswith("fe:")
    )
