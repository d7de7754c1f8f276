"""What each port may send at layer 2, as values.

iptables sees untagged IP and nothing else of what crosses a bridge.  The
rest is the guard's: which MAC and addresses a port owns, and which of them
nobody beyond an uplink may claim.
"""

from collections.abc import Mapping

from flatnet.plan.addresses import made_by
from flatnet.rows import Network, Snapshot
from flatnet.settings import Settings
from flatnet.state import (
    Bridge,
    Guard,
    GuardedNetwork,
    GuardedPort,
    Port,
)


def guard(
    snapshot: Snapshot, settings: Settings, bridges: tuple[Bridge, ...]
) -> Guard | None:
    """Return the guard of this host's bridges; none where there is none.

    Without `prevent_spoofing` it still says which ports are whose, and what
    may come from outside.
    """
    if not bridges:
        return None
    networks = {network.uuid: network for network in snapshot.networks}
    guarded = [
        _network(bridge, networks[bridge.network_uuid], settings)
        for bridge in bridges
    ]
    return Guard(
        ports=_ports(bridges, networks, _grouped(snapshot)),
        networks=tuple(sorted(guarded, key=lambda each: each.bridge)),
        prevent_spoofing=settings.prevent_spoofing,
        isolated=not settings.allow_same_net_traffic,
    )


def _network(
    bridge: Bridge, network: Network, settings: Settings
) -> GuardedNetwork:
    return GuardedNetwork(
        bridge=bridge.name,
        cidr=network.cidr,
        mac=bridge.mac,
        address=bridge.address.partition("/")[0] if bridge.address else None,
        cidr_v6=network.cidr_v6,
        uplink=bridge.uplink,
        serves=bool(bridge.address and network.enable_dhcp),
        foreign_ports=settings.foreign_ports,
    )


def _grouped(snapshot: Snapshot) -> frozenset[str]:
    """The uuids of the instances that are in a group."""
    return frozenset(
        each.instance_uuid
        for each in snapshot.interfaces
        if each.security_group_ids
    )


def _ports(
    bridges: tuple[Bridge, ...],
    networks: Mapping[str, Network],
    grouped: frozenset[str],
) -> tuple[GuardedPort, ...]:
    ports = [
        GuardedPort(
            name=port.name,
            mac=port.mac.lower(),
            addresses=_addresses(port, networks[bridge.network_uuid]),
            instance_uuid=port.instance_uuid,
            filtered=port.instance_uuid in grouped,
        )
        for bridge in bridges
        for port in bridge.ports
    ]
    return tuple(sorted(ports, key=lambda port: port.name))


def _addresses(port: Port, network: Network) -> tuple[str, ...]:
    """A port's addresses: of its rows, and those that its MAC makes.

    What is malformed stays as it is: it is for the applier to refuse the
    port, closed and by name.
    """
    own = made_by(port.mac, network.cidr_v6)
    return tuple(sorted({*port.addresses, *own}))
