"""What a guest may send: the chains of the guard that judge its frames.

Every rule that matches what is inside a frame says first what the frame is
on the wire (`ether type`): a tagged frame then is what it is, 0x8100, and
not what the tag hides.
"""

from flatnet.apply.filter.guard.announcements import FROM_RARP, RARP
from flatnet.apply.filter.guard.nft import NftChain

# Of a port: what it asks of the host's one dnsmasq.  A resolver that works
# hard stays below the first; a boot sends about ten messages of the second.
DNS_LIMIT = "limit rate over 50/second burst 200 packets"
DHCP_LIMIT = "limit rate over 5/second burst 40 packets"

ETHERNET_ARP = "arp htype 1 arp ptype ip arp hlen 6 arp plen 4"
IP = "ether type ip"
IP6 = "ether type ip6"
# 01-80-c2-00-00-0x: the bridge's own business, never a guest's; from an
# uplink LLDP and LACP are the host's, but what is IP in it would meet no rule
# that names the bridge.
RESERVED = "ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00"
RESERVED_GROUP = f"{RESERVED} drop"
# A neighbour message, by length, has no option, or one, which must be the
# sender's own MAC; nothing stands between it and the IPv6 header.
_DISCOVERY_FORMS = {
    "advertisement": (24, "0x0201", "192", "208"),
    "solicitation": (24, "0x0101", "192", "208"),
    "router_solicitation": (8, "0x0101", "64", "80"),
}

_OWN_IPV4 = NftChain(
    "own_ip",
    (
        # Its first fragment, which has the ports or the type, was judged.
        "ip frag-off & 0x1fff != 0 accept",
        # Most of what there is: it need not pass the rest.
        "meta l4proto tcp accept",
        "meta l4proto udp udp dport 67 goto own_dhcp",
        "meta l4proto udp goto own_udp",
        "meta l4proto icmp icmp type != { redirect, router-advertisement }"
        " accept",
        # Queries make the bridge prune and steer multicast.
        "meta l4proto igmp igmp type != membership-query accept",
        "meta l4proto != { udp, icmp, igmp } accept",
        "drop",
    ),
)
_OWN_IPV6 = NftChain(
    "own_ip6",
    (
        "ip6 nexthdr 44 goto own_fragment6",
        "exthdr frag exists drop",
        "meta l4proto tcp accept",
        "meta l4proto udp goto own_udp",
        "icmpv6 type nd-neighbor-advert iifname . @th,64,128 @targets "
        "goto own_advertisement",
        "icmpv6 type nd-neighbor-solicit goto own_solicitation",
        "icmpv6 type nd-router-solicit goto own_router_solicitation",
        # 138 and 151 are of routers too.
        "meta l4proto ipv6-icmp icmpv6 type != { mld-listener-query, "
        "nd-router-advert, nd-neighbor-advert, nd-redirect, 138, 151 } accept",
        "meta l4proto != { udp, ipv6-icmp } accept",
        "drop",
    ),
)
# What a first fragment hides, nobody has judged: of ICMP only echoes come in
# pieces, none of it for a group, and no header follows the fragment's own.
_OWN_FRAGMENT6 = NftChain(
    "own_fragment6",
    (
        "frag nexthdr { 0, 43, 44, 60, 135, 139, 140 } drop",
        "frag nexthdr ipv6-icmp ip6 daddr ff00::/8 drop",
        "frag frag-off != 0 accept",
        "meta l4proto udp goto own_udp",
        "icmpv6 type { echo-request, echo-reply } accept",
        "meta l4proto != { udp, ipv6-icmp } accept",
        "drop",
    ),
)
_OWN_UDP = NftChain(
    "own_udp",
    (
        "udp sport != { 67, 547 } udp dport != { 67, 68, 546 } accept",
        "drop",
    ),
)
# Whole, by Ethernet, and for no other's MAC: what a server does with it
# goes by what is written inside.
_OWN_DHCP = NftChain(
    "own_dhcp",
    (
        "ip frag-off & 0x3fff != 0 drop",
        f"update @dhcp_rate {{ iifname {DHCP_LIMIT} }} drop",
        "@th,64,24 0x010106 iifname . @th,288,48 @hardware accept",
        "drop",
    ),
)
_OWN_DISCOVERY = tuple(
    NftChain(
        f"own_{name}",
        (
            f"ip6 nexthdr ipv6-icmp ip6 length {length} accept",
            f"ip6 nexthdr ipv6-icmp ip6 length {length + 8} "
            f"@th,{option},16 {kind} iifname . @th,{mac},48 @hardware accept",
            "drop",
        ),
    )
    for name, (length, kind, option, mac) in _DISCOVERY_FORMS.items()
)
_FROM_CHAINS = (
    NftChain(
        "from_arp",
        (
            f"{ETHERNET_ARP} arp operation {{ request, reply }} iifname . "
            "arp saddr ether @macs goto from_arp_own",
            "drop",
        ),
    ),
    NftChain(
        "from_arp_own",
        (
            "iifname . arp saddr ip @ipv4 accept",
            # A probe for another's address would make it give that up.
            "arp operation request arp saddr ip 0.0.0.0 "
            "iifname . arp daddr ip @ipv4 accept",
            "drop",
        ),
    ),
    NftChain(
        "from_ip",
        (
            "iifname . ip saddr @ipv4 goto own_ip",
            "ip saddr 0.0.0.0 ip daddr 255.255.255.255 ether daddr "
            "ff:ff:ff:ff:ff:ff udp sport 68 udp dport 67 goto own_dhcp",
            "drop",
        ),
    ),
    NftChain(
        "from_ip6",
        (
            "iifname . ip6 saddr @ipv6 goto own_ip6",
            # Before it has an address: duplicate address detection.
            "ip6 saddr :: icmpv6 type nd-neighbor-solicit iifname . "
            "@th,64,128 @targets goto from_nobody6",
            "ip6 saddr :: icmpv6 type { mld-listener-report, "
            "mld2-listener-report } accept",
            "drop",
        ),
    ),
)
# RFC 7527 adds a nonce, by which one knows one's own question.
_FROM_NOBODY6 = NftChain(
    "from_nobody6",
    (
        "ip6 nexthdr ipv6-icmp ip6 length 24 accept",
        "ip6 nexthdr ipv6-icmp ip6 length 32 @th,192,16 0x0e01 accept",
        "drop",
    ),
)
# By TCP it is the connections that are few: see `guard_routed`.
_NAMES_LIMITED = (
    f"{IP} udp dport 53 ip daddr @name_servers "
    f"update @dns_rate {{ iifname {DNS_LIMIT} }} drop"
)

OWN_SENDER = (
    _OWN_UDP,
    _OWN_DHCP,
    _OWN_IPV4,
    _OWN_FRAGMENT6,
    *_OWN_DISCOVERY,
    _OWN_IPV6,
    _FROM_NOBODY6,
    *_FROM_CHAINS,
    FROM_RARP,
    NftChain(
        "from_guest",
        (
            RESERVED_GROUP,
            "iifname . ether saddr != @macs drop",
            _NAMES_LIMITED,
            "ether type arp goto from_arp",
            f"{IP} goto from_ip",
            f"{IP6} goto from_ip6",
            f"{RARP} goto from_rarp",
            "drop",
        ),
    ),
)
# Where spoofing is allowed, the form of frames is judged alone.
ANY_SENDER = (
    _OWN_DHCP,
    FROM_RARP,
    NftChain(
        "from_guest",
        (
            RESERVED_GROUP,
            _NAMES_LIMITED,
            f"{IP} udp dport 67 goto own_dhcp",
            "ether type { arp, ip, ip6 } accept",
            f"{RARP} goto from_rarp",
            "drop",
        ),
    ),
)
