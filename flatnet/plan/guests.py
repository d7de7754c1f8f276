"""The guests of a host: parts made anew where what they are made of differs.

That is an interface's own rows, and what is known of its network, of its
groups and of the name of its instance.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from flatnet.config.settings import Settings
from flatnet.plan.ground import Ground
from flatnet.plan.guest import GuestRows, PlannedGuest, planned_guest
from flatnet.plan.kept_rows import Kept
from flatnet.plan.network_names import NetworkNames, network_names
from flatnet.plan.served import served_parts
from flatnet.state.mappings import differing
from flatnet.state.parts import GuestPart, ServedPart
from flatnet.state.rows import Binding, SecurityGroup
from flatnet.state.sliced_collections import SlicedMap


@dataclass(frozen=True)
class Guests:
    """The parts of guests by interface, and the lines about their rows."""

    names: NetworkNames
    parts: Mapping[str, GuestPart] = field(default_factory=dict)
    warnings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    served: SlicedMap[str, ServedPart] = field(default_factory=SlicedMap)


def guests(
    before: Guests, was: Ground, now: Ground, settings: Settings
) -> Guests:
    """Return the guests of a host.

    :param before: those that were made of `was`, by the same settings
    """
    keys = _touched(was, now)
    names = network_names(before.names, was, now)
    served = served_parts(before.served, was, now, names)
    keys.update(
        each.uuid
        for network, instance in names.asked
        for each in now.rows.interfaces_of((instance,))
        if each.network_id == network
    )
    if not keys:
        return replace(before, names=names, served=served)
    parts, warnings = dict(before.parts), dict(before.warnings)
    for key in keys:
        made = _made(key, now, names, settings)
        warnings.pop(key, None)
        if made is None:
            parts.pop(key, None)
            continue
        # An equal one stays the same object, which nobody compares.
        if parts.get(key) != made.part:
            parts[key] = made.part
        if made.warnings:
            warnings[key] = made.warnings
    return Guests(names, parts, warnings, served)


def _touched(was: Ground, now: Ground) -> set[str]:
    """The interfaces of which anything but the name may be another."""
    old, new = was.rows, now.rows
    keys = differing(old.interfaces, new.interfaces)
    keys |= old.elsewhere ^ new.elsewhere
    for key in differing(old.bindings, new.bindings):
        one, other = old.bindings.get(key), new.bindings.get(key)
        if not (
            one
            and other
            and (one.wanted, one.plug) == (other.wanted, other.plug)
        ):
            keys.add(key)
        elif _is_found(one) != _is_found(other):
            # Where a guest is decides about nothing else.
            keys.update(_floating(new, key))
    networks = differing(was.networks, now.networks)
    groups = old.groups.keys() ^ new.groups.keys()
    if networks or groups:
        keys.update(
            key
            for key, each in new.interfaces.items()
            if each.network_id in networks
            or not groups.isdisjoint(each.security_group_ids)
        )
    return keys


def _made(
    key: str, now: Ground, names: NetworkNames, settings: Settings
) -> PlannedGuest | None:
    """What an interface is here; none where it or its network is not."""
    interface = now.rows.interfaces.get(key)
    if interface is None or interface.network_id not in now.networks:
        return None
    binding = now.rows.bindings.get(key)
    whose = interface.network_id, interface.instance_uuid
    rows = GuestRows(
        interface=interface,
        network=now.networks[interface.network_id].fit,
        wanted=binding.wanted if binding else None,
        plug=binding.plug if binding else None,
        is_elsewhere=key in now.rows.elsewhere,
        is_served=now.serves(interface.network_id),
        name=names.of(*whose),
        groups=_known(interface.security_group_ids, now.rows.groups),
        is_found=_is_found(binding),
        is_routed=now.routes(interface.network_id),
    )
    made = planned_guest(rows, settings)
    return replace(made, warnings=made.warnings + names.lines(*whose))


def _is_found(binding: Binding | None) -> bool:
    """Whether a guest was found in its port here."""
    return binding is not None and binding.found == "up" and binding.carrier


def _floating(rows: Kept, key: str) -> Iterator[str]:
    """An interface, if floating addresses lead to it."""
    if key in rows.interfaces and rows.interfaces[key].floating:
        yield key


def _known(
    wanted: tuple[int, ...], groups: Mapping[int, SecurityGroup]
) -> tuple[int, ...]:
    found = [each for each in wanted if each in groups]
    return tuple(sorted(set(found)) if len(found) > 1 else found)
