"""Connections that lead out of a network."""

from ipaddress import IPv4Network, IPv6Network, ip_address

from flatnet.apply.filter.connections.conntrack_table import flows_of, forget
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.iptables.ipset import all_packed


def forget_routed(
    session: Session,
    addresses: frozenset[str],
    cidr: IPv4Network | IPv6Network,
) -> int:
    """Forget connections of addresses that lead out of their network.

    Return how many they were.

    :raises HostSetupError: the kernel does not tell
    :raises OSError: one cannot be forgotten
    """
    asking = session.proven.asking
    tracked = list(flows_of(asking, all_packed(addresses)))
    return sum(
        forget(asking, flow)
        for flow in tracked
        if flow.family == cidr.version
        and any(
            ip_address(each) not in cidr
            for each in (flow.source, flow.destination, flow.answered_to)
        )
    )
