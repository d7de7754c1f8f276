"""The rules of the guard's bridge table; what they look up stands in sets.

Every rule that matches what is inside a frame says first what the frame is
on the wire (`ether type`): a tagged frame then is what it is, 0x8100, and
not what the tag hides.
"""

from flatnet.apply.filter import judged_mark
from flatnet.apply.filter.guard import claims, groupcasts, router_rules
from flatnet.apply.filter.guard.announcements import RARP
from flatnet.apply.filter.guard.nft import NftChain
from flatnet.apply.filter.guard.senders import (
    ANY_SENDER,
    ETHERNET_ARP,
    IP,
    IP6,
    OWN_SENDER,
    RESERVED,
    RESERVED_GROUP,
)
from flatnet.state.plan import METADATA

# Before bridge-nf (0) and before whatever others do there by habit (-300).
FIRST = -350
# After bridge-nf, which has what is filtered be judged.
AFTER_RULES = 10

_PER_PORT = "type ifname; size 4096; flags dynamic,timeout; timeout 1m"

SET_KEYS = {
    "ports": "type ifname",
    "filtered": "type ifname",
    "hairpins": "type ifname . ifname",
    "uplinks": "type ifname",
    "dhcp_uplinks": "type ifname",
    "metadata_uplinks": "type ifname",
    "own_uplinks": "type ifname",
    "asking_uplinks": "type ifname",
    "closed": "type ifname",
    "macs": "type ifname . ether_addr",
    # The same as numbers, for what has no name in nft: chaddr, ND options.
    "hardware": "typeof iifname . @th,288,48",
    "ipv4": "type ifname . ipv4_addr",
    "ipv6": "type ifname . ipv6_addr",
    "targets": "typeof iifname . @th,64,128",
    "bridge_macs": "type ether_addr",
    "name_servers": "type ipv4_addr",
    "own_servers": "type ipv4_addr",
    # Of the one server of all hosts, where that is beyond an uplink.
    "servers": "type ifname . ether_addr . ipv4_addr",
    "server_ipv4": "type ifname . ipv4_addr",
    "new_servers": "type ifname . ipv4_addr",
    "local_macs": "type ether_addr",
    "local_ipv4": "type ipv4_addr",
    "local_ipv6": "type ipv6_addr",
    "local_targets": "typeof @th,64,128",
    "dns_rate": _PER_PORT,
    "dhcp_rate": _PER_PORT,
    "rarp_rate": _PER_PORT,
    claims.SET: claims.KEY,
    **groupcasts.SET_KEYS,
    **router_rules.SET_KEYS,
}

_RESERVED_IP = f"{RESERVED} ether type {{ arp, ip, ip6 }} drop"
_TO_GROUP = "ether daddr & 01:00:00:00:00:00 != 00:00:00:00:00:00"
_ANSWER = "ip daddr 255.255.255.255 udp sport 67 udp dport 68 accept"
# Packet Too Big and what else answers are for the addresses themselves;
# of what is for a group only discovery is left, and the queries without
# which bridges and switches forget who wants it.
_DISCOVERY = (
    "ip6 daddr ff00::/8 icmpv6 type { nd-neighbor-solicit, "
    "nd-neighbor-advert, mld-listener-query } accept"
)
_FROM_UPLINK = NftChain(
    "from_uplink",
    (
        _RESERVED_IP,
        # Names of this host's guests are for them alone.
        f"{IP} ip daddr @own_servers udp dport 53 drop",
        f"{IP} ip daddr @own_servers tcp dport 53 drop",
        "ether saddr @local_macs drop",
        "ether type arp arp saddr ether @local_macs drop",
        claims.RULE,
        "ether type arp arp saddr ip @local_ipv4 drop",
        "ether type arp arp saddr ip 0.0.0.0 arp daddr ip @local_ipv4 drop",
        f"{IP} ip saddr @local_ipv4 drop",
        # The server of all hosts is one host, whoever was it before.
        "ether type arp iifname . arp saddr ip @server_ipv4 "
        "iifname . arp saddr ether . arp saddr ip != @servers drop",
        f"{IP} iifname . ip saddr @server_ipv4 "
        "iifname . ether saddr . ip saddr != @servers drop",
        f"{IP6} ip6 saddr @local_ipv6 drop",
        f"{IP6} icmpv6 type nd-neighbor-advert @th,64,128 @local_targets drop",
        f"{IP6} ip6 saddr :: icmpv6 type nd-neighbor-solicit @th,64,128 "
        "@local_targets drop",
    ),
)
_TO_GUEST = NftChain(
    "to_guest",
    (
        f"ether type arp {ETHERNET_ARP} arp operation "
        "{ request, reply } accept",
        f"{IP} goto to_ip",
        f"{IP6} goto to_ip6",
        "drop",
    ),
)
_PREROUTING = (
    "iifname @ports goto from_guest",
    "iifname @uplinks goto from_uplink",
    "iifname @closed drop",
)
_TO_HOST = (RESERVED_GROUP, f"{RARP} drop")
# Who asks by ARP for the metadata service is answered by his own host.
_OF_METADATA = tuple(
    f"ether type arp arp {end} ip {METADATA}" for end in ("saddr", "daddr")
)
# Frames to some group addresses come here without prerouting.  A port that
# has just joined is in no set yet: nothing of it is for the host.
_INPUT = (
    "iifname @ports goto to_host",
    f"iifname @uplinks {_RESERVED_IP}",
    "iifname @closed drop",
    # Who asks from beyond has a server there.
    f"iifname @own_uplinks {IP} udp dport 67 drop",
    f"iifname @dhcp_uplinks {IP6} udp dport 547 drop",
    *(f"iifname @metadata_uplinks {each} drop" for each in _OF_METADATA),
    "ether daddr @bridge_macs iifname != @ports iifname != @uplinks drop",
)
# DHCP stays on its host, or is between that and the one server of all hosts.
_REQUESTS = (f"{IP} udp dport 67", f"{IP6} udp dport 547")
_ALL_OF_DHCP = (
    f"{IP} udp dport {{ 67, 68 }}",
    f"{IP6} udp dport {{ 546, 547 }}",
)
_BETWEEN = (
    NftChain("to_neighbour", tuple(f"{each} drop" for each in _REQUESTS)),
    NftChain(
        "to_uplink",
        (
            *(f"{each} oifname @dhcp_uplinks drop" for each in _REQUESTS),
            *(f"{m} oifname @metadata_uplinks drop" for m in _OF_METADATA),
        ),
    ),
    NftChain(
        "from_server",
        (
            *(
                f"{IP} udp sport 67 udp dport 68 iifname . {who} accept"
                for who in (
                    "ether saddr . ip saddr @servers",
                    "ip saddr @new_servers",
                )
            ),
            "drop",
        ),
    ),
    NftChain(
        "uplink_to_guest",
        (
            *(f"{each} iifname @dhcp_uplinks drop" for each in _ALL_OF_DHCP),
            *(f"{m} iifname @metadata_uplinks drop" for m in _OF_METADATA),
            *(
                f"{each} iifname @asking_uplinks goto from_server"
                for each in _ALL_OF_DHCP
            ),
        ),
    ),
)
# First what each packet between guests meets.  A port that has just joined
# is not for guests and the segment either.
_FORWARD = (
    # A port with a hairpin gets what its guest says to everybody too, which
    # that takes for another with its address.
    f"iifname . oifname @hairpins {_TO_GROUP} drop",
    "iifname @ports oifname @ports goto to_neighbour",
    "iifname @ports oifname @uplinks goto to_uplink",
    "iifname @uplinks oifname @ports goto uplink_to_guest",
    "iifname @ports drop",
    "oifname @ports drop",
    "iifname @uplinks oifname != @uplinks drop",
    "oifname @uplinks iifname != @uplinks drop",
)
# What bridge-nf showed nobody was judged by nobody.
_UNJUDGED = (
    f"{judged_mark.IS_MISSING} oifname @filtered ether type {{ ip, ip6 }} drop"
)
_JUDGED = (
    f"{judged_mark.IS_THERE} iifname @ports {judged_mark.CLEARED}",
    f"{judged_mark.IS_THERE} iifname @uplinks {judged_mark.CLEARED}",
)
_POSTROUTING = ("oifname @ports goto to_guest", "oifname @closed drop")


def bridge_chains(
    *, prevent_spoofing: bool, isolated: bool, is_router: bool = False
) -> tuple[NftChain, ...]:
    """Return the chains of the table of family bridge.

    :param is_router: whether the host is guests' router of IPv6
    """
    chains = (
        *(OWN_SENDER if prevent_spoofing else ANY_SENDER),
        _FROM_UPLINK,
        _to_ip(4, prevent_spoofing=prevent_spoofing, isolated=isolated),
        _to_ip(6, prevent_spoofing=prevent_spoofing, isolated=isolated),
        _TO_GUEST,
        NftChain("to_host", _TO_HOST + groupcasts.TO_HOST * isolated),
        *groupcasts.CHAINS * isolated,
        *_BETWEEN,
        *(
            NftChain(hook, rules, hook=hook, priority=FIRST)
            for hook, rules in (
                ("prerouting", _PREROUTING),
                ("input", _INPUT),
                ("forward", _FORWARD),
                ("postrouting", _POSTROUTING),
            )
        ),
        NftChain(
            "judged",
            (_UNJUDGED, *(groupcasts.JUDGED,) * isolated, *_JUDGED),
            hook="forward",
            priority=AFTER_RULES,
        ),
    )
    return router_rules.with_router(chains) if is_router else chains


def _to_ip(family: int, *, prevent_spoofing: bool, isolated: bool) -> NftChain:
    """What a guest gets: what is for its own addresses, and little else."""
    header, name, general = {
        4: ("ip", "to_ip", _ANSWER),
        6: ("ip6", "to_ip6", _DISCOVERY),
    }[family]
    own = f"oifname . {header} daddr @ipv{family} accept"
    if isolated:
        return NftChain(name, (own, groupcasts.LET_IN, general, "drop"))
    rest = ("drop",) if prevent_spoofing else ("oifname @filtered drop",)
    return NftChain(name, (own, f"{_TO_GROUP} accept", *rest))
