"""Which host serves a network, and whose guests it serves there.

A network is served by each host for its own guests, or by one for those of
all hosts.
"""

from collections.abc import Iterable
from dataclasses import replace

from flatnet.state.rows import Interface, Network


def has_one_server(network: Network) -> bool:
    """Whether one host serves the guests of all, whichever that is."""
    return not network.multi_host and network.enable_dhcp


def serves_all(network: Network, host: str) -> bool:
    """Whether a host is the server of all guests of a network."""
    return has_one_server(network) and network.host == host


def served_elsewhere(network: Network, host: str) -> bool:
    """Whether a host leaves the guests that it has to another host."""
    return has_one_server(network) and network.host != host


def served_interfaces(
    interfaces: Iterable[Interface],
    networks: Iterable[Network],
    host: str,
    here: Iterable[Interface],
) -> tuple[Interface, ...]:
    """Return those of other hosts that a host serves, by uuid.

    Their groups and floating addresses are their own host's affair.

    :param interfaces: of living instances, wherever they are
    :param here: those that the host has itself
    """
    mine = {each.id for each in networks if serves_all(each, host)}
    if not mine:
        return ()
    own = {each.uuid for each in here}
    found = (
        replace(each, security_group_ids=(), floating=())
        for each in interfaces
        if each.network_id in mine and each.uuid not in own
    )
    return tuple(sorted(found, key=lambda each: each.uuid))
