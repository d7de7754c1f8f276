"""The filter of a plan: what is the host's own, and what is a guest's."""

from collections.abc import Set as AbstractSet
from dataclasses import replace

from flatnet.apply.grammar import values
from flatnet.apply.grammar.bounds import few
from flatnet.apply.grammar.instances import Instances, subject
from flatnet.apply.grammar.routers import check_routers
from flatnet.state.changes import Failure, group_key
from flatnet.state.effects import Subject, Surface
from flatnet.state.filtering import (
    Filter,
    FlatNetwork,
    FloatingAddress,
    Gateway,
    Group,
    Guest,
    Members,
    Opening,
    Outside,
)

_PORTS = range(65536)
_IDS = range(1, 10**18)
_CLOSED = "nothing new is let in to the instance: mend its row"


def checked_filter(wanted: Filter, found: Instances) -> Filter:
    """Return the filter with odd guests shut, and odd groups empty.

    :raises ValueError: what is the host's own is not of the grammar
    """
    values.choice(wanted.same_network, (True, False))
    for network in wanted.networks:
        _check_network(network)
    for gateway in wanted.gateways:
        _check_gateway(gateway)
    _check_outside(wanted.outside)
    found.require(wanted.members, _check_members)
    found.require(wanted.guests, _check_place)
    found.require(wanted.floating, _check_floating)
    found.require(wanted.groups, _check_id)

    def named(group: Group) -> Failure:
        uuids = {
            guest.instance_uuid
            for guest in wanted.guests
            if group.id in guest.groups
        }
        text = "it lets in nothing"
        return Failure(
            Subject(Surface.GROUP, str(group.id)),
            text,
            tuple(sorted(uuids)),
            group_key(group.id),
        )

    def holding(guest: Guest) -> Failure:
        uuids = {guest.instance_uuid, *found.holding(*guest.addresses)}
        called = subject(Surface.FILTER, guest.uuid)
        return Failure(called, _CLOSED, tuple(sorted(uuids)))

    return replace(
        wanted,
        guests=found.mended(wanted.guests, _check_guest, holding, _shut),
        groups=found.mended(wanted.groups, _check_group, named, _emptied),
    )


def _check_floating(floating: FloatingAddress) -> None:
    values.ipv4(floating.address)
    values.ipv4(floating.fixed)
    values.device(floating.device)
    values.port_name(floating.port)
    values.uuid(floating.uuid)
    values.uuid(floating.instance_uuid)


def _check_place(guest: Guest) -> None:
    values.device(guest.bridge)


def _check_id(group: Group) -> None:
    values.integer(group.id, _IDS)


def _shut(guest: Guest) -> Guest:
    """Return a guest that nothing is let in to.

    Left out, its addresses would not be filtered at all.
    """
    sound = tuple(filter(_is_address, guest.addresses))
    return replace(guest, addresses=sound, filtered=True, groups=())


def _emptied(group: Group) -> Group:
    return replace(group, openings=())


def _check_guest(guest: Guest) -> None:
    values.uuid(guest.uuid)
    values.uuid(guest.instance_uuid)
    values.choice(guest.filtered, (True, False))
    few("groups", guest.groups)
    for each in guest.groups:
        values.integer(each, _IDS)
    few("addresses", guest.addresses)
    for address in guest.addresses:
        values.address(address)


def _is_address(text: object) -> bool:
    try:
        values.address(text)
    except ValueError:
        return False
    return True


def _check_group(group: Group) -> None:
    for opening in group.openings:
        _check_opening(opening)


def _check_opening(opening: Opening) -> None:
    values.choice(opening.family, (4, 6))
    if opening.source is not None:
        _check_network_of(opening.source, opening.family)
    if opening.group is not None:
        values.integer(opening.group, _IDS)
    if opening.protocol is not None:
        values.integer(opening.protocol, range(1, 256))
    for number in (opening.first, opening.last):
        if number is not None:
            values.integer(number, _PORTS)
    if opening.last is None and opening.protocol not in (1, 58, None):
        values.choice(opening.first, (None,))


def _check_network_of(text: str, family: int) -> None:
    check = values.network4 if family == 4 else values.network6
    check(text)


def _check_members(members: Members) -> None:
    values.integer(members.group, _IDS)
    for _ in members.addresses.of_slices(_check_addresses):
        pass


def _check_addresses(addresses: AbstractSet[str]) -> None:
    for each in addresses:
        values.address(each)


def _check_network(network: FlatNetwork) -> None:
    values.device(network.bridge)
    values.network4(network.cidr)
    if network.cidr_v6 is not None:
        values.network6(network.cidr_v6)
    if network.server is not None:
        values.ipv4(network.server)


def _check_gateway(gateway: Gateway) -> None:
    values.device(gateway.bridge)
    values.network4(gateway.cidr)
    values.ipv4(gateway.address)
    check_routers(gateway.routers)
    for each in (gateway.serves, gateway.external):
        values.choice(each, (True, False))


def _check_outside(outside: Outside) -> None:
    for device in outside.forwards or ():
        values.device(device)
    if outside.source_ip is not None:
        values.ipv4(outside.source_ip)
        values.device(outside.public_interface)
    for each in (*outside.snat_ranges, *outside.kept):
        values.network4(each)
    if outside.metadata is not None:
        address, port = outside.metadata
        values.ipv4(address)
        values.integer(port, range(1, 65536))
    for each in outside.name_servers:
        values.network(each)
    values.choice(outside.any_name_server, (True, False))
