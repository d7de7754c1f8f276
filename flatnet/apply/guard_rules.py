"""The rules of the guard's tables; what they look up stands in sets.

Every rule that matches what is inside a frame says first what the frame is
on the wire (`ether type`): a tagged frame then is what it is, 0x8100, and
not what the tag hides.
"""

from flatnet.apply.nft import Chain, Table

# Before bridge-nf (0) and before whatever others do there by habit (-300).
FIRST = -350
# Before reassembly (-400).
BEFORE_DEFRAG = -450

# tap????????-??: the prefix, then a mask with a bit that every digit has
# (0x20), all but the lowest bit of the dash, and nothing after 14 bytes.
# Upper case, other lengths and other characters at the dash do not match.
_MASK = '& "           ~  ~" == "           ,  "'
FROM_GUEST = f'iifname "tap*" iifname {_MASK}'
TO_GUEST = f'oifname "tap*" oifname {_MASK}'

SET_KEYS = {
    "ports": "type ifname",
    "uplinks": "type ifname",
    "dhcp_uplinks": "type ifname",
    "macs": "type ifname . ether_addr",
    "ipv4": "type ifname . ipv4_addr",
    "ipv6": "type ifname . ipv6_addr",
    "targets": "typeof iifname . @th,64,128",
    "local_macs": "type ether_addr",
    "local_ipv4": "type ipv4_addr",
    "local_ipv6": "type ipv6_addr",
    "local_targets": "typeof @th,64,128",
}

_ETHERNET_ARP = "arp htype 1 arp ptype ip arp hlen 6 arp plen 4"
# 01-80-c2-00-00-0x: the bridge's own business, never a guest's; from an
# uplink LLDP and LACP are the host's, but what is IP in it would meet no rule
# that names the bridge.
_RESERVED = "ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00"
_RESERVED_GROUP = f"{_RESERVED} drop"
_RESERVED_IP = f"{_RESERVED} ether type {{ arp, ip, ip6 }} drop"
_TO_GROUP = "ether daddr & 01:00:00:00:00:00 != 00:00:00:00:00:00"
_IP = "ether type ip"
_IP6 = "ether type ip6"
_ANSWER = "ip daddr 255.255.255.255 udp sport 67 udp dport 68 accept"
# Packet Too Big and what else answers are for the addresses themselves;
# of what is for a group only discovery is left.
_DISCOVERY = (
    "ip6 daddr ff00::/8 icmpv6 type { nd-neighbor-solicit, "
    "nd-neighbor-advert } accept"
)

_OWN_IPV4 = Chain(
    "own_ip",
    (
        # Its first fragment, which has the ports or the type, was judged.
        "ip frag-off & 0x1fff != 0 accept",
        "meta l4proto udp goto own_udp",
        "meta l4proto icmp icmp type != { redirect, router-advertisement }"
        " accept",
        # Queries make the bridge prune and steer multicast.
        "meta l4proto igmp igmp type != membership-query accept",
        "meta l4proto != { udp, icmp, igmp } accept",
        "drop",
    ),
)
_OWN_IPV6 = Chain(
    "own_ip6",
    (
        "frag frag-off != 0 accept",
        "meta l4proto udp goto own_udp",
        "icmpv6 type nd-neighbor-advert iifname . @th,64,128 @targets accept",
        # 138 and 151 are of routers too.
        "meta l4proto ipv6-icmp icmpv6 type != { mld-listener-query, "
        "nd-router-advert, nd-neighbor-advert, nd-redirect, 138, 151 } accept",
        "meta l4proto != { udp, ipv6-icmp } accept",
        "drop",
    ),
)
_OWN_UDP = Chain(
    "own_udp",
    (
        "udp sport != { 67, 547 } udp dport != { 68, 546 } accept",
        "drop",
    ),
)
_FROM_CHAINS = (
    Chain(
        "from_arp",
        (
            f"{_ETHERNET_ARP} arp operation {{ request, reply }} iifname . "
            "arp saddr ether @macs goto from_arp_own",
            "drop",
        ),
    ),
    Chain(
        "from_arp_own",
        (
            "iifname . arp saddr ip @ipv4 accept",
            # A probe for another's address would make it give that up.
            "arp operation request arp saddr ip 0.0.0.0 "
            "iifname . arp daddr ip @ipv4 accept",
            "drop",
        ),
    ),
    Chain(
        "from_ip",
        (
            "iifname . ip saddr @ipv4 goto own_ip",
            "ip saddr 0.0.0.0 ip daddr 255.255.255.255 ether daddr "
            "ff:ff:ff:ff:ff:ff udp sport 68 udp dport 67 accept",
            "drop",
        ),
    ),
    Chain(
        "from_ip6",
        (
            "iifname . ip6 saddr @ipv6 goto own_ip6",
            # Before it has an address: duplicate address detection.
            "ip6 saddr :: icmpv6 type nd-neighbor-solicit iifname . "
            "@th,64,128 @targets accept",
            "ip6 saddr :: icmpv6 type { mld-listener-report, "
            "mld2-listener-report } accept",
            "drop",
        ),
    ),
)
_FROM_UPLINK = Chain(
    "from_uplink",
    (
        _RESERVED_IP,
        "ether saddr @local_macs drop",
        "ether type arp arp saddr ether @local_macs drop",
        "ether type arp arp saddr ip @local_ipv4 drop",
        "ether type arp arp saddr ip 0.0.0.0 arp daddr ip @local_ipv4 drop",
        f"{_IP} ip saddr @local_ipv4 drop",
        f"{_IP6} ip6 saddr @local_ipv6 drop",
        f"{_IP6} icmpv6 type nd-neighbor-advert @th,64,128 @local_targets "
        "drop",
        f"{_IP6} ip6 saddr :: icmpv6 type nd-neighbor-solicit @th,64,128 "
        "@local_targets drop",
        f"iifname @dhcp_uplinks {_IP} udp dport 67 drop",
        f"iifname @dhcp_uplinks {_IP6} udp dport 547 drop",
    ),
)
_TO_GUEST = Chain(
    "to_guest",
    (
        "oifname != @ports drop",
        f"ether type arp {_ETHERNET_ARP} arp operation "
        "{ request, reply } accept",
        f"{_IP} goto to_ip",
        f"{_IP6} goto to_ip6",
        "drop",
    ),
)
_DHCP_FORWARD = Chain(
    "forward",
    tuple(
        rule
        for kind, request, answer in ((_IP, 67, 68), (_IP6, 547, 546))
        for rule in (
            f"{FROM_GUEST} oifname @dhcp_uplinks {kind} udp dport {request} "
            "drop",
            f"{FROM_GUEST} {TO_GUEST} {kind} udp dport {request} drop",
            f"iifname @dhcp_uplinks {TO_GUEST} {kind} udp dport {answer} drop",
        )
    ),
    hook="forward",
    priority=FIRST,
)


def bridge_chains(
    *, prevent_spoofing: bool, isolated: bool
) -> tuple[Chain, ...]:
    """Return the chains of the table of family bridge."""
    base = _base_chains(prevent_spoofing=prevent_spoofing)
    to_guest = (
        _TO_GUEST,
        _to_ip(prevent_spoofing=prevent_spoofing, isolated=isolated),
        _to_ip6(prevent_spoofing=prevent_spoofing, isolated=isolated),
    )
    # What a chain leads to must be declared before it.
    if not prevent_spoofing:
        return (_any_sender(), *reversed(to_guest), *base)
    own = (_OWN_UDP, _OWN_IPV4, _OWN_IPV6)
    sender = (*own, *reversed(_FROM_CHAINS), _own_sender(), _FROM_UPLINK)
    return (*sender, *reversed(to_guest), _DHCP_FORWARD, *base)


def stray_tables(name: str) -> tuple[Table, ...]:
    """Return the tables that drop what reached IP or ARP past the bridge."""
    inet = Chain(
        "prerouting",
        (f"{FROM_GUEST} drop",),
        hook="prerouting",
        priority=BEFORE_DEFRAG,
    )
    arp = Chain("input", (f"{FROM_GUEST} drop",), hook="input", priority=FIRST)
    return (Table("inet", name, (inet,)), Table("arp", name, (arp,)))


def _base_chains(*, prevent_spoofing: bool) -> tuple[Chain, ...]:
    return (
        Chain(
            "prerouting",
            ("iifname @uplinks goto from_uplink",) * prevent_spoofing
            + (f"{FROM_GUEST} goto from_guest",),
            hook="prerouting",
            priority=FIRST,
        ),
        # Frames to some group addresses come here without prerouting.
        Chain(
            "input",
            (f"iifname @uplinks {_RESERVED_IP}",) * prevent_spoofing
            + (f"{FROM_GUEST} {_RESERVED_GROUP}",),
            hook="input",
            priority=FIRST,
        ),
        Chain(
            "postrouting",
            (f"{TO_GUEST} goto to_guest",),
            hook="postrouting",
            priority=FIRST,
        ),
    )


def _own_sender() -> Chain:
    return Chain(
        "from_guest",
        (
            _RESERVED_GROUP,
            "iifname != @ports drop",
            "iifname . ether saddr != @macs drop",
            "ether type arp goto from_arp",
            f"{_IP} goto from_ip",
            f"{_IP6} goto from_ip6",
            "drop",
        ),
    )


def _any_sender() -> Chain:
    """Where spoofing is allowed, the form of frames is judged alone."""
    return Chain(
        "from_guest",
        (
            _RESERVED_GROUP,
            "iifname != @ports drop",
            "ether type { arp, ip, ip6 } accept",
            "drop",
        ),
    )


def _to_ip(*, prevent_spoofing: bool, isolated: bool) -> Chain:
    own = ("oifname . ip daddr @ipv4 accept",) * prevent_spoofing
    if not isolated:
        return Chain("to_ip", (*own, f"{_TO_GROUP} accept", "drop"))
    rest = ("drop",) if prevent_spoofing else (f"{_TO_GROUP} drop", "accept")
    return Chain("to_ip", (*own, _ANSWER, *rest))


def _to_ip6(*, prevent_spoofing: bool, isolated: bool) -> Chain:
    own = ("oifname . ip6 daddr @ipv6 accept",) * prevent_spoofing
    if not isolated:
        return Chain("to_ip6", (*own, f"{_TO_GROUP} accept", "drop"))
    rest = ("drop",) if prevent_spoofing else (f"{_TO_GROUP} drop", "accept")
    return Chain("to_ip6", (*own, _DISCOVERY, *rest))
