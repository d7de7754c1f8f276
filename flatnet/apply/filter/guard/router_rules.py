"""What the guard has besides where the host is its guests' router of IPv6.

* A guest hears the advertisements and the DHCPv6 server of its own host's
  bridge, and nobody else's: none of a guest, none by an uplink, and none of
  the host's leaves by one.
* What guests ask of a router stays on their host too, and is limited as
  DHCP is.  A guest declines no address, for nobody else can have its own, and
  relays nothing: in a relay's name it would speak for another's MAC.
* The name server, which listens on all addresses of the bridge, is asked by
  guests alone.

The rules come before the others of their chains.
"""

from collections.abc import Iterable
from dataclasses import replace

from flatnet.apply.filter.guard.nft import NftChain
from flatnet.apply.filter.guard.senders import DHCP_LIMIT, DNS_LIMIT, IP, IP6

SET_KEYS = {
    "routers": "type ipv6_addr",
    "router_uplinks": "type ifname",
}
_FROM_UPLINK = "iifname @router_uplinks"
_TO_UPLINK = "oifname @router_uplinks"
_ADVERTISED = f"{IP6} icmpv6 type nd-router-advert"
_SOLICITED = f"{IP6} icmpv6 type nd-router-solicit"
_PORTS = (("udp", 53), ("tcp", 53))
# Solicit, request, confirm, renew, rebind, release, information-request.
_OWN_DHCP6 = NftChain(
    "own_dhcp6",
    (
        "exthdr frag exists drop",
        f"update @dhcp_rate {{ iifname {DHCP_LIMIT} }} drop",
        "@th,64,8 { 0x01, 0x03, 0x04, 0x05, 0x06, 0x08, 0x0b } accept",
        "drop",
    ),
)
_BEFORE = {
    "from_guest": (
        f"{_ADVERTISED} drop",
        f"{IP6} udp sport 547 drop",
        f"{IP6} udp dport 53 ip6 daddr @routers "
        f"update @dns_rate {{ iifname {DNS_LIMIT} }} drop",
    ),
    "own_ip6": ("meta l4proto udp udp dport 547 goto own_dhcp6",),
    "to_neighbour": (f"{_SOLICITED} drop",),
    "to_uplink": (f"{_SOLICITED} {_TO_UPLINK} drop",),
    "from_uplink": tuple(
        f"{IP6} ip6 daddr @routers {protocol} dport {port} drop"
        for protocol, port in _PORTS
    ),
    "uplink_to_guest": (
        f"{_FROM_UPLINK} {IP6} icmpv6 type "
        "{ nd-router-advert, nd-redirect } drop",
    ),
    "to_ip6": (
        "ip6 daddr ff02::1 icmpv6 type nd-router-advert "
        "ether saddr @bridge_macs accept",
    ),
    "input": tuple(
        f"{_FROM_UPLINK} {family} {protocol} dport {port} drop"
        for family in (IP, IP6)
        for protocol, port in _PORTS
    ),
    "postrouting": (
        f"{_TO_UPLINK} ether saddr @bridge_macs {_ADVERTISED} drop",
        f"{_TO_UPLINK} ether saddr @bridge_macs "
        f"{IP6} udp sport 547 udp dport 546 drop",
    ),
}
# Where no chain judges what a guest claims to be.
_ASKED = f"{IP6} udp dport 547 goto own_dhcp6"


def with_router(chains: Iterable[NftChain]) -> tuple[NftChain, ...]:
    """Return the chains of the bridge's table with what a router needs."""
    given = tuple(chains)
    judges = any(each.name == "own_ip6" for each in given)
    more = {} if judges else {"from_guest": (_ASKED,)}
    return (
        _OWN_DHCP6,
        *(
            replace(
                each,
                rules=(
                    *_BEFORE.get(each.name, ()),
                    *more.get(each.name, ()),
                    *each.rules,
                ),
            )
            for each in given
        ),
    )
