"""Rules for what the host does as its guests' gateway."""

import ipaddress

from flatnet.apply.filter.iptables.chain_layout import ChainLayout
from flatnet.apply.filter.iptables.floating import from_guests
from flatnet.apply.filter.iptables.matches import ACCEPT, DROP, bound_for
from flatnet.state.filtering import Gateway, Outside
from flatnet.state.plan import METADATA

_TFTP = "tftp"


def gateways(layout: ChainLayout, family: int) -> tuple[Gateway, ...]:
    """Return the gateways of one family."""
    if family == 4:
        return layout.gateways
    return tuple(each for each in layout.gateways if each.routers)


def turned_back(layout: ChainLayout, family: int) -> tuple[str, ...]:
    """Drop what the host would route back into the bridge it came from.

    Guests of a flat network reach each other across it.  By way of the
    gateway one of them could make the host look for any number of addresses
    that nobody has.  What the host translated has to turn.
    """
    return tuple(
        f"-i {each.bridge} -o {each.bridge} -m physdev "
        f"! --physdev-is-bridged -m conntrack ! --ctstate SNAT,DNAT {DROP}"
        for each in gateways(layout, family)
    )


def crossing(layout: ChainLayout, family: int) -> tuple[str, ...]:
    """Let guests talk across a bridge that the host is no router for."""
    routed = {each.bridge for each in gateways(layout, family)}
    return tuple(
        f"-i {each.bridge} -o {each.bridge} {ACCEPT}"
        for each in layout.networks
        if each.bridge not in routed
    )


def forwarding(layout: ChainLayout, family: int) -> tuple[str, ...]:
    """What bridges may forward to."""
    devices = layout.outside.forwards
    return tuple(
        rule
        for each in gateways(layout, family)
        for rule in _forwarding(each.bridge, devices)
    )


def _forwarding(
    bridge: str, devices: tuple[str, ...] | None
) -> tuple[str, ...]:
    if devices is None:
        return (f"-i {bridge} {ACCEPT}", f"-o {bridge} {ACCEPT}")
    pairs = tuple(
        rule
        for device in devices
        for rule in (
            f"-i {bridge} -o {device} {ACCEPT}",
            f"-i {device} -o {bridge} {ACCEPT}",
        )
    )
    return (
        *pairs,
        f"-i {bridge} -o {bridge} {ACCEPT}",
        f"-i {bridge} {DROP}",
        f"-o {bridge} {DROP}",
    )


def checksums(layout: ChainLayout) -> tuple[str, ...]:
    """Fill UDP checksums that a virtual NIC would leave to hardware.

    DHCP clients that read raw frames discard answers without.
    """
    return tuple(
        f"-o {each.bridge} -p udp -m udp --dport 68 "
        "-j CHECKSUM --checksum-fill"
        for each in layout.gateways
    )


def metadata(layout: ChainLayout) -> tuple[str, ...]:
    """Lead 169.254.169.254 port 80 to the metadata service."""
    if not layout.outside.metadata:
        return ()
    address, port = layout.outside.metadata
    target = f"DNAT --to-destination {address}:{port}"
    if ipaddress.ip_address(address).is_loopback:
        # Loopback is no destination for what came from elsewhere.
        target = f"REDIRECT --to-ports {port}"
    return tuple(
        f"-d {METADATA}/32 -i {each.bridge} -p tcp -m tcp --dport 80 "
        f"-j {target}"
        for each in layout.gateways
    )


def helpers(layout: ChainLayout) -> tuple[str, ...]:
    """Have connection tracking understand the TFTP of who boots by network.

    A server answers from another port than it was asked at.  That is for who
    asks beyond the host, or the host itself.
    """
    return tuple(
        f"-s {each.cidr} {there} -i {each.bridge} -p udp -m udp --dport 69 "
        f"-j CT --helper {_TFTP}"
        for each in layout.gateways
        for there in (
            *(f"! -d {each.cidr}",) * (not each.external),
            f"-d {each.address}/32",
        )
    )


def source_nat(layout: ChainLayout) -> tuple[str, ...]:
    """Give guests' traffic to the outside an address that is known there."""
    outside = layout.outside
    if not outside.source_ip and not layout.floating:
        return ()
    return tuple(
        rule
        for each in layout.gateways
        for rule in (
            *_kept(each, outside),
            *from_guests(layout, each.cidr),
            *_source_nat(each, outside),
        )
    )


def _kept(gateway: Gateway, outside: Outside) -> tuple[str, ...]:
    """Let some see guests' own addresses, whatever these have beside."""
    source = f"-s {gateway.cidr}"
    return (
        *(f"{source} {bound_for(each)}{ACCEPT}" for each in outside.kept),
        f"{source} -d {gateway.cidr} -m conntrack ! --ctstate DNAT {ACCEPT}",
    )


def _source_nat(gateway: Gateway, outside: Outside) -> tuple[str, ...]:
    if not outside.source_ip:
        return ()
    source = f"-s {gateway.cidr}"
    target = f"-j SNAT --to-source {outside.source_ip}"
    if gateway.external:
        ranges = map(bound_for, outside.snat_ranges)
        return tuple(f"{source} {each}{target}" for each in ranges)
    return (f"{source} -o {outside.public_interface} {target}",)
