"""Which rows of networks and addresses can be planned with, and which not.

Anybody may write these rows, and one that makes no sense must cost those
who need it and nobody else.  So they are read here, once, before anything
is made of them: what a network can do without is left out with a warning;
a network that cannot be made is kept apart with the reason, so that its
instances are shut, and named, where they are; an address that is not one of
its own network is left out, for it may be another instance's.
"""

import ipaddress
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache

from flatnet.plan.addresses import of_family
from flatnet.state.eui64 import is_mac, is_prefix
from flatnet.state.rows import DEVICE_NAME, MTUS, Interface, Network

# Ranges of networks.
_REMEMBERED = 256


@dataclass(frozen=True)
class Fit:
    """A network as it can be planned with, or the `fault` that it has.

    `warnings` are lines about its row.
    """

    network: Network
    fault: str = ""
    warnings: tuple[str, ...] = ()


def fit_network(network: Network, host_address: str | None) -> Fit:
    """Return what of a network's row can be used.

    :param host_address: that of its bridge on this host
    """
    fault = _fault(network, host_address)
    if fault:
        return Fit(network, fault)
    odd = _oddities(network)
    return Fit(
        _without(network, odd),
        warnings=tuple(_odd(network, name) for name in odd),
    )


def fit_interface(
    interface: Interface, network: Network
) -> tuple[Interface, tuple[str, ...]]:
    """Return an interface with the addresses that can be used, and warnings.

    What is no address at all is for the applier, which shuts who has it.
    """
    outside = tuple(
        text
        for text in interface.addresses
        if of_family((text,), 4) and not is_hosts(text, network.cidr)
    )
    kept = tuple(
        each if "/" in each else _written(each)
        for each in interface.addresses
        if each not in outside
    )
    return replace(interface, addresses=kept), tuple(
        f"instance {interface.instance_uuid}: {text} is no host's address in "
        f"{network.cidr} of its network and is left out"
        for text in outside
    )


def usable_mtu(network: Network) -> int | None:
    """Return the mtu that a network's row asks for, if there can be such."""
    return network.mtu if network.mtu in MTUS else None


def _odd(network: Network, name: str) -> str:
    value = getattr(network, name)
    return (
        f"network {network.label} ({network.uuid}): {name} {value!r} makes no "
        "sense and is left out"
    )


def _fault(network: Network, host_address: str | None) -> str:
    """Why a network cannot be made here, or nothing."""
    if not DEVICE_NAME.fullmatch(network.bridge):
        return f"bridge {network.bridge!r} cannot name a device"
    uplink = network.bridge_interface
    if uplink and not DEVICE_NAME.fullmatch(uplink):
        return f"bridge_interface {uplink!r} cannot name a device"
    if not _is_cidr(network.cidr, ipaddress.IPv4Network):
        return f"cidr {network.cidr!r} is no IPv4 range such as 10.0.0.0/24"
    if not network.uuid.replace("-", "").isalnum():
        return f"uuid {network.uuid!r} is none"
    if host_address is not None and not is_hosts(host_address, network.cidr):
        return (
            f"the address {host_address!r} of this host in fixed_ips is no "
            f"host's address in {network.cidr}"
        )
    return ""


def _oddities(network: Network) -> tuple[str, ...]:
    """The columns that a network can do without and that say nothing."""
    checks: tuple[tuple[str, Callable[[str], bool]], ...] = (
        ("cidr_v6", _is_prefix),
        ("gateway", lambda text: bool(of_family((text,), 4))),
        ("dns1", _is_address),
        ("dns2", _is_address),
        ("dhcp_server", lambda text: bool(of_family((text,), 4))),
        ("server_mac", is_mac),
    )
    odd = tuple(
        name
        for name, is_sound in checks
        if getattr(network, name) and not is_sound(getattr(network, name))
    )
    return (*odd, "mtu") if network.mtu and not usable_mtu(network) else odd


def _without(network: Network, odd: tuple[str, ...]) -> Network:
    """A network with none in these columns, and in those that are empty.

    What is left is as all programs write it, in small letters.
    """

    def text(name: str) -> str | None:
        value = getattr(network, name)
        return None if name in odd or not value else _written(value)

    return replace(
        network,
        cidr_v6=text("cidr_v6"),
        gateway=text("gateway"),
        dns1=text("dns1"),
        dns2=text("dns2"),
        dhcp_server=text("dhcp_server"),
        server_mac=mac.lower() if (mac := text("server_mac")) else None,
        mtu=usable_mtu(network),
    )


def _written(text: str) -> str:
    """An address or a range of IPv6 as it is written, or what it was."""
    with suppress(ValueError):
        if "/" in text:
            return str(ipaddress.ip_network(text))
        if "%" not in text:
            return str(ipaddress.ip_address(text))
    return text


def _is_cidr(
    text: str,
    kind: type[ipaddress.IPv4Network] | type[ipaddress.IPv6Network],
) -> bool:
    """Whether a text is a range in the one way that all programs read."""
    try:
        return str(kind(text)).partition("/")[2] == text.partition("/")[2]
    except ValueError:
        return False


def _is_prefix(text: str) -> bool:
    """Whether MACs make addresses in a range."""
    return is_prefix(text) and _is_cidr(text, ipaddress.IPv6Network)


def _is_address(text: str) -> bool:
    return bool(of_family((text,), 4) or of_family((text,), 6))


def is_hosts(text: str, cidr: str) -> bool:
    """Whether a machine of a network can have this IPv4 address."""
    if not of_family((text,), 4):
        return False
    network, ends = _range(cidr)
    address = ipaddress.IPv4Address(text)
    return address in network and address not in ends


@lru_cache(_REMEMBERED)
def _range(
    cidr: str,
) -> tuple[ipaddress.IPv4Network, tuple[ipaddress.IPv4Address, ...]]:
    """A range, which all guests of a network ask for, and its two ends."""
    found = ipaddress.IPv4Network(cidr)
    return found, (found.network_address, found.broadcast_address)
