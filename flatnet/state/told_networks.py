"""The networks whose names a host tells: those that it is the server of."""

from collections.abc import Collection, Iterable

from flatnet.state.rows import Network


def told_networks(
    networks: Iterable[Network], addressed: Collection[int]
) -> frozenset[int]:
    """Return their ids.

    :param addressed: the ids of those in which the host has an address
    """
    return frozenset(
        each.id
        for each in networks
        if each.enable_dhcp and each.id in addressed
    )
