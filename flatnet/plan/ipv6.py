"""What a dual-stack network is on a host, and whose rows do not say it yet."""

import hashlib
from collections.abc import Iterable

from flatnet.plan.bridge import bridge_mac
from flatnet.state.eui64 import is_prefix, made_by
from flatnet.state.plan import Advertised
from flatnet.state.rows import Interface, Network


def router(host: str, network: Network) -> tuple[str, ...]:
    """Return the addresses of a host's bridge in a dual-stack network.

    The link-local one, which guests know as their gateway, and that in the
    network's range; none where it has no range, or is served by a single
    host, which its guests elsewhere do not hear.  All hosts agree on them
    without a row: the bridge's MAC follows from the host's name.
    """
    if not (network.multi_host and is_prefix(network.cidr_v6)):
        return ()
    return made_by(bridge_mac(host, network.uuid), network.cidr_v6)


def advertised(host: str, network: Network) -> Advertised | None:
    """Return what a host advertises in a network, none without a range."""
    addresses = router(host, network)
    if not (network.cidr_v6 and addresses):
        return None
    digest = hashlib.sha256(network.uuid.encode()).digest()
    return Advertised(network.cidr_v6, addresses[-1], digest[:16].hex())


def lacking(
    interfaces: Iterable[Interface], networks: Iterable[Network]
) -> dict[str, int]:
    """Return the interfaces whose rows have no IPv6 address and should.

    :returns: the ids of their networks, by the interfaces' uuids
    """
    ranges = {each.id: each.cidr_v6 for each in networks}
    found = {}
    for each in interfaces:
        # One that has none of IPv4 is about to go, or to get one.
        if not each.addresses or not is_prefix(ranges.get(each.network_id)):
            continue
        made = made_by(each.mac, ranges[each.network_id])[1:]
        if not {*made} <= {*each.addresses}:
            found[each.uuid] = each.network_id
    return found
