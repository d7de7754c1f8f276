"""What a plan may say of IPv6: routers of guests, and what they advertise."""

import ipaddress

from flatnet.apply.grammar import values
from flatnet.apply.grammar.bounds import few
from flatnet.state.plan import Advertised

_DUID = 32


def check_routers(routers: tuple[str, ...]) -> None:
    """Check the IPv6 addresses of a bridge."""
    few("routers", routers)
    for each in routers:
        values.ipv6(each)


def check_advertised(advertised: Advertised) -> None:
    """Check what a DHCP server advertises."""
    if not isinstance(advertised, Advertised):
        raise ValueError("what is advertised is no range")
    values.network6(advertised.cidr)
    values.ipv6(advertised.address)
    values.hexadecimal(advertised.duid, _DUID)
    network = ipaddress.IPv6Network(advertised.cidr)
    if network.prefixlen != 64 or (
        ipaddress.IPv6Address(advertised.address) not in network
    ):
        raise ValueError("what is advertised is no /64 of the bridge")
