"""Interfaces of other hosts that this one is the DHCP server of."""

from itertools import chain

from flatnet.plan.addresses import of_family
from flatnet.plan.ground import Ground
from flatnet.plan.kept_rows import Kept
from flatnet.plan.network_names import NetworkNames
from flatnet.plan.usable_rows import fit_interface
from flatnet.state.eui64 import is_mac
from flatnet.state.mappings import differing
from flatnet.state.parts import ServedPart
from flatnet.state.plan import DhcpHost
from flatnet.state.rows import Interface, Network
from flatnet.state.sliced_collections import SlicedMap


def served_parts(
    before: SlicedMap[str, ServedPart],
    was: Ground,
    now: Ground,
    names: NetworkNames,
) -> SlicedMap[str, ServedPart]:
    """Return them by interface, anew where what they are made of differs.

    :param before: those that were made of `was`
    """
    put, gone = now.rows.served.differing(was.rows.served)
    instances = {*put, *gone, *(uuid for _, uuid in names.asked)}
    if differing(was.networks, now.networks):
        instances.update(now.rows.served)
    old = [each.uuid for each in was.rows.served_of(instances)]
    made = {
        each.uuid: part
        for each in now.rows.served_of(instances)
        if (part := _part(each, now, names))
    }
    return before.changed(made, old)


def has_guests(rows: Kept, network: Network) -> bool:
    """Whether a host is to serve somebody there, of whatever host.

    Only of a network that it serves for all.
    """
    if network.multi_host or network.id not in rows.addresses:
        return False
    served = chain.from_iterable(rows.served.values())
    return any(
        each.network_id == network.id
        for each in chain(served, rows.interfaces.values())
    )


def _part(
    interface: Interface, now: Ground, names: NetworkNames
) -> ServedPart | None:
    """Its line for the DHCP server, none where its row makes none.

    Warnings about the row are for its own host.
    """
    network, owner = interface.network_id, interface.instance_uuid
    if not now.serves(network):
        return None
    row = now.networks[network].fit.network
    usable, _ = fit_interface(interface, row)
    first = usable.addresses[:1]
    if not of_family(first, 4) or not is_mac(interface.mac):
        return None
    dhcp = DhcpHost(
        mac=interface.mac.lower(),
        address=first[0],
        uuid=interface.uuid,
        instance_uuid=owner,
        name=names.of(network, owner),
        has_router=interface.has_default_route,
    )
    return ServedPart(network, dhcp)
