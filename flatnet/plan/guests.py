"""The instances of this host: their addresses, and what their groups let in.

Whatever a row says that cannot be put into effect comes out as a warning
and lets nothing in.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from flatnet.exceptions import InvalidSecurityGroupRule
from flatnet.plan.dispatch import Address
from flatnet.plan.security import Match, matches, of_family
from flatnet.settings import Settings
from flatnet.state import Interface, Network, Snapshot


@dataclass(frozen=True)
class Guest:
    """An interface of this host; `lets_in` are its groups' matches."""

    interface: Interface
    network: Network
    filtered: bool
    lets_in: tuple[Match, ...]

    @property
    def chain(self) -> str:
        return f"flatnet-i-{self.interface.uuid[:11]}"


def guests(
    snapshot: Snapshot,
    settings: Settings,
    lets_in: Mapping[int, tuple[Match, ...]],
) -> list[Guest]:
    networks = {network.id: network for network in snapshot.networks}
    return [
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


def _matches_by_group(
    snapshot: Snapshot, members: Mapping[int, tuple[str, ...]]
) -> tuple[dict[int, tuple[Match, ...]], dict[tuple[int, int], str]]:
    """Return each group's matches, and why rules have none.

    The reasons' keys are (group id, rule id).
    """
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


def _address_warnings(guests: list[Guest]) -> tuple[str, ...]:
    return tuple(
        f"instance {guest.interface.instance_uuid}: {text!r} is no address; "
        "nothing is let through to it"
        for guest in guests
        for text in guest.interface.addresses
        if not of_family((text,), 4) + of_family((text,), 6)
    )


def addresses_v6(guest: Guest) -> tuple[Address, ...]:
    """The guest's addresses: of its rows, and those its MAC makes."""
    found = {
        ipaddress.IPv6Address(address)
        for address in of_family(guest.interface.addresses, 6)
    }
    octets = bytearray.fromhex(guest.interface.mac.replace(":", ""))
    octets[0] ^= 2
    octets[3:3] = b"\xff\xfe"
    prefixes = ["fe80::/64"]
    if guest.network.cidr_v6:
        prefixes.append(guest.network.cidr_v6)
    for prefix in map(ipaddress.IPv6Network, prefixes):
        if prefix.prefixlen == 64:
            found.add(prefix[int.from_bytes(octets)])
    return tuple(sorted(found))


def solicited_node(address: Address) -> Address:
    """The group in which a neighbour looks for this address."""
    base = int(ipaddress.IPv6Address("ff02::1:ff00:0"))
    return ipaddress.IPv6Address(base | int(address) & 0xFFFFFF)
