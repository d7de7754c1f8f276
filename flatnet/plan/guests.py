"""The instances of this host: their addresses, and what their groups let in.

Whatever a row says that cannot be put into effect comes out as a warning
and lets nothing in.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from flatnet.exceptions import InvalidSecurityGroupRule
from flatnet.plan.dispatch import Address
from flatnet.plan.guard import eui64_address
from flatnet.plan.security import Match, matches, of_family
from flatnet.rows import Interface, Network, Snapshot
from flatnet.settings import Settings

_MAC = re.compile("[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)


@dataclass(frozen=True)
class Guest:
    """An interface of this host; `lets_in` are its groups' matches."""

    interface: Interface
    network: Network
    filtered: bool
    lets_in: tuple[Match, ...]

    @property
    def chain(self) -> str:
        """The chain that judges what is bound for it."""
        return f"flatnet-i-{self.interface.uuid[:11]}"


def guests(
    snapshot: Snapshot, settings: Settings
) -> tuple[list[Guest], tuple[str, ...]]:
    """Return the guests, sorted by interface, and warnings about rows."""
    lets_in, reasons = _matches_by_group(snapshot)
    networks = {network.id: network for network in snapshot.networks}
    found = [
        Guest(
            interface,
            networks[interface.network_id],
            filtered=(
                not settings.allow_same_net_traffic
                or bool(interface.security_group_ids)
            ),
            lets_in=tuple(
                match
                for group_id in sorted(set(interface.security_group_ids))
                for match in lets_in.get(group_id, ())
            ),
        )
        for interface in sorted(snapshot.interfaces, key=lambda i: i.uuid)
        if interface.network_id in networks
    ]
    return found, _rule_warnings(snapshot, reasons) + _row_warnings(found)


def _matches_by_group(
    snapshot: Snapshot,
) -> tuple[dict[int, tuple[Match, ...]], dict[tuple[int, int], str]]:
    """Return each group's matches, and why rules have none.

    The reasons' keys are (group id, rule id).
    """
    members = dict(snapshot.group_members)
    found: dict[int, tuple[Match, ...]] = {}
    reasons = {}
    for group in snapshot.security_groups:
        mine: list[Match] = []
        for rule in sorted(group.rules, key=lambda rule: rule.id):
            try:
                mine.extend(matches(rule, members))
            except InvalidSecurityGroupRule as error:
                reasons[group.id, rule.id] = str(error)
        found[group.id] = tuple(mine)
    return found, reasons


def _rule_warnings(
    snapshot: Snapshot, reasons: Mapping[tuple[int, int], str]
) -> tuple[str, ...]:
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


def _row_warnings(found: list[Guest]) -> tuple[str, ...]:
    malformed = [
        (guest.interface.instance_uuid, text)
        for guest in found
        for text in guest.interface.addresses
        if not of_family((text,), 4) + of_family((text,), 6)
    ] + [
        (guest.interface.instance_uuid, guest.interface.mac)
        for guest in found
        if not _MAC.fullmatch(guest.interface.mac)
    ]
    return tuple(
        f"instance {uuid}: {text!r} is malformed; nothing is let in for it"
        for uuid, text in malformed
    ) + tuple(
        f"instance {guest.interface.instance_uuid}: MAC "
        f"{guest.interface.mac!r} is that of the host's end of its port, so "
        "it hears no neighbour; choose another first octet than fe:"
        for guest in found
        if guest.interface.mac.lower().startswith("fe:")
    )


def addresses_v6(guest: Guest) -> tuple[Address, ...]:
    """The guest's addresses: of its rows, and those its MAC makes."""
    found = {
        ipaddress.IPv6Address(address)
        for address in of_family(guest.interface.addresses, 6)
    }
    prefixes = ["fe80::/64"]
    if guest.network.cidr_v6 and guest.network.cidr_v6.endswith("/64"):
        prefixes.append(guest.network.cidr_v6)
    if _MAC.fullmatch(guest.interface.mac):
        found |= {
            ipaddress.IPv6Address(eui64_address(prefix, guest.interface.mac))
            for prefix in prefixes
        }
    return tuple(sorted(found))
