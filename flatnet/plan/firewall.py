"""The iptables tables of this host: gateway, DHCP, metadata, isolation.

FlatDHCPManager makes the host the gateway of its guests; FlatManager has no
part in their traffic beyond letting it cross the bridge, because the bridge
only passes what FORWARD accepts once bridged packets are shown to iptables,
and others (Docker) set FORWARD's policy to DROP.

Every chain of ours begins with `flatnet-` and each built-in chain has one
jump into them.
"""

import ipaddress
from collections.abc import Mapping

from flatnet.plan.isolation import Filtering, isolation
from flatnet.plan.services import Services, services
from flatnet.rows import Network, Snapshot
from flatnet.settings import Settings
from flatnet.state import AddressSet, Chain, Jump, Table

_METADATA = "169.254.169.254/32"
# A network of this host and its bridge's address, or none.
Gateway = tuple[Network, str]


def tables(
    snapshot: Snapshot, settings: Settings
) -> tuple[tuple[Table, ...], tuple[AddressSet, ...], tuple[str, ...]]:
    """Return the tables, the address sets they name, and warnings.

    A table without a chain of ours is left out.  Tables are sorted by
    family and name.
    """
    v4, v6, address_sets, warnings = isolation(snapshot, settings)
    addresses = dict(snapshot.host_addresses) if settings.dhcp else {}
    gateways = [
        (network, addresses[network.id])
        for network in snapshot.networks
        if network.id in addresses
    ]
    crossed = sorted(_bridges(snapshot))
    served = [each for each in gateways if each[0].enable_dhcp]
    ours, ours_v6 = services(served, settings)
    planned = (
        _filter_v4(v4, ours, gateways, crossed, settings),
        _table(4, "mangle", {"POSTROUTING": _checksums(gateways)}),
        _table(
            4,
            "nat",
            {
                "PREROUTING": _metadata(gateways, settings),
                "POSTROUTING": _source_nat(gateways, settings),
            },
        ),
        _filter_v6(v6, ours_v6, crossed),
    )
    used = tuple(table for table in planned if table.chains)
    return used, address_sets, warnings


def _bridges(snapshot: Snapshot) -> set[str]:
    """The bridges that lead to an instance here."""
    used = {interface.network_id for interface in snapshot.interfaces}
    return {n.bridge for n in snapshot.networks if n.id in used}


def _table(
    family: int,
    name: str,
    rules: Mapping[str, tuple[str, ...]],
    chains: tuple[Chain, ...] = (),
) -> Table:
    """Return a table with one chain of ours per built-in chain."""
    used = {
        builtin: tuple(dict.fromkeys(mine))
        for builtin, mine in sorted(rules.items())
        if mine
    }
    return Table(
        family,
        name,
        chains=tuple(
            sorted(
                (
                    *(Chain(f"flatnet-{b}", mine) for b, mine in used.items()),
                    *chains,
                ),
                key=lambda chain: chain.name,
            )
        ),
        jumps=tuple(Jump(builtin, f"flatnet-{builtin}") for builtin in used),
    )


def _filter_v4(
    isolated: Filtering,
    ours: Services,
    gateways: list[Gateway],
    crossed: list[str],
    settings: Settings,
) -> Table:
    routed = tuple(
        rule
        for network, _ in gateways
        for rule in _forwarding(network.bridge, settings)
    )
    bridged = [b for b in crossed if b not in {n.bridge for n, _ in gateways}]
    return _table(
        4,
        "filter",
        {
            "INPUT": ours.incoming,
            # Every bridge is judged before any is accepted: a packet may
            # come by one of ours and leave by another.
            "FORWARD": _turned_back(gateways)
            + isolated.forward
            + routed
            + _crossing(bridged),
            "OUTPUT": ours.first + isolated.output + ours.last,
        },
        isolated.chains,
    )


def _filter_v6(
    isolated: Filtering, ours: Services, crossed: list[str]
) -> Table:
    return _table(
        6,
        "filter",
        {
            "INPUT": ours.incoming,
            "FORWARD": isolated.forward + _crossing(crossed),
            "OUTPUT": ours.first + isolated.output + ours.last,
        },
        isolated.chains,
    )


def _turned_back(gateways: list[Gateway]) -> tuple[str, ...]:
    """Drop what the host would route back into the bridge it came from.

    Guests of a flat network reach each other across it.  By way of the
    gateway one of them could make the host look for any number of addresses
    that nobody has.  What the host translated has to turn.
    """
    return tuple(
        f"-i {network.bridge} -o {network.bridge} -m physdev "
        "! --physdev-is-bridged -m conntrack ! --ctstate DNAT,SNAT -j DROP"
        for network, _ in gateways
    )


def _crossing(bridges: list[str]) -> tuple[str, ...]:
    """Let guests talk across a bridge that the host is no router for."""
    return tuple(f"-i {b} -o {b} -j ACCEPT" for b in bridges)


def _forwarding(bridge: str, settings: Settings) -> tuple[str, ...]:
    """What the bridge may forward to, by forward_bridge_interface."""
    devices = settings.forward_bridge_interface
    if "all" in devices:
        return (f"-i {bridge} -j ACCEPT", f"-o {bridge} -j ACCEPT")
    pairs = tuple(
        rule
        for device in devices
        for rule in (
            f"-i {bridge} -o {device} -j ACCEPT",
            f"-i {device} -o {bridge} -j ACCEPT",
        )
    )
    return (
        *pairs,
        f"-i {bridge} -o {bridge} -j ACCEPT",
        f"-i {bridge} -j DROP",
        f"-o {bridge} -j DROP",
    )


def _checksums(gateways: list[Gateway]) -> tuple[str, ...]:
    """Fill UDP checksums that a virtual NIC would leave to hardware.

    DHCP clients that read raw frames discard answers without.
    """
    return tuple(
        f"-o {network.bridge} -p udp -m udp --dport 68 "
        "-j CHECKSUM --checksum-fill"
        for network, _ in gateways
    )


def _metadata(gateways: list[Gateway], settings: Settings) -> tuple[str, ...]:
    """Lead 169.254.169.254 port 80 to the metadata service."""
    if not settings.metadata_host:
        return ()
    port = settings.metadata_port
    target = f"DNAT --to-destination {settings.metadata_host}:{port}"
    if ipaddress.ip_address(settings.metadata_host).is_loopback:
        # Loopback is no destination for what came from elsewhere.
        target = f"REDIRECT --to-ports {port}"
    return tuple(
        f"-d {_METADATA} -i {network.bridge} -p tcp -m tcp --dport 80 "
        f"-j {target}"
        for network, _ in gateways
    )


def _source_nat(
    gateways: list[Gateway], settings: Settings
) -> tuple[str, ...]:
    """Give guests' traffic to the outside an address that is known there.

    The metadata service tells guests apart by their own address.
    """
    if not settings.routing_source_ip:
        return ()
    kept = list(settings.dmz_cidr)
    if settings.metadata_host:
        kept.insert(0, f"{settings.metadata_host}/32")
    target = f"-j SNAT --to-source {settings.routing_source_ip}"
    rules: tuple[str, ...] = ()
    for network, address in gateways:
        source = f"-s {network.cidr}"
        rules += tuple(f"{source} -d {cidr} -j ACCEPT" for cidr in kept)
        rules += (
            f"{source} -d {network.cidr} -m conntrack ! --ctstate DNAT "
            "-j ACCEPT",
        )
        if _is_external(network, address):
            rules += tuple(
                f"{source} -d {cidr} {target}"
                for cidr in settings.force_snat_range
            )
        else:
            rules += (f"{source} -o {settings.public_interface} {target}",)
    return rules


def _is_external(network: Network, address: str) -> bool:
    """Whether somebody else's router is the gateway of the guests."""
    gateway = network.gateway
    return not network.multi_host and gateway not in (None, "", address)
