"""Multicast and broadcast, which the bridge copies to each port.

Goals, and how each is met:

* A copy reaches a guest if its groups let it in: rules of iptables judge it by
  the mark that it gets here (see `groupcast_mark`), and nothing else passes
  the end of this.
* Who is in no group, or in none that exists, gets nothing, and the host has
  no work with it.
* As before, discovery of neighbours passes, and answers of a DHCP server;
  that of members of multicast groups (IGMP) comes from beyond an uplink, for
  those who may get any: else a bridge that heard one would keep from them what
  they cannot ask for again.
* The host's own stack gets from guests what they ask of it alone.

Given up: of what the host itself sends to a group no copy is judged, so that
no guest gets it.  Whatever was marked by others has lost that.
"""

from flatnet.apply.filter import groupcast_mark, judged_mark
from flatnet.apply.filter.guard.nft import NftChain
from flatnet.apply.filter.guard.senders import IP, IP6

# Once it is known which port may have what, and before bridge-nf.
PRIORITY = -340
SET_KEYS = {
    "groupcasts": "type ifname : mark",
    "broadcasts": "type ipv4_addr",
}
_EVERYBODY = f"{{ {groupcast_mark.MULTICAST[4]}, {groupcast_mark.BROADCAST} }}"
_MULTICAST6 = groupcast_mark.MULTICAST[6]
_ANSWER = (
    f"ip daddr {groupcast_mark.BROADCAST} udp sport 67 udp dport 68 accept"
)
_DISCOVERY = (
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, "
    "mld-listener-query } accept"
)
_IS_COPY = f"meta mark & {groupcast_mark.COPY:#010x} != 0x00000000"
_FOR_ALL = (
    f"{IP} ip daddr {_EVERYBODY}",
    f"{IP} ip daddr @broadcasts",
    f"{IP6} ip6 daddr {_MULTICAST6}",
)
# The end of what it says is the guest's, by port.
LET_IN = f"meta mark {groupcast_mark.LET_IN:#010x} meta mark set 0x0 accept"
JUDGED = (
    f"{judged_mark.IS_THERE} {_IS_COPY} oifname @filtered "
    "jump judged_groupcast"
)
CHAINS = (
    NftChain("groupcast4", (_ANSWER, "goto groupcast_to")),
    NftChain("groupcast6", (_DISCOVERY, "goto groupcast_to")),
    NftChain(
        "groupcast_to",
        (
            "meta mark set 0x0",
            "meta mark set oifname map @groupcasts",
            "meta mark 0x0 drop",
            f"iifname @uplinks {IP} meta l4proto igmp igmp type "
            "membership-query meta mark set meta mark | "
            f"{groupcast_mark.QUERY:#010x}",
        ),
    ),
    NftChain(
        "groupcast",
        tuple(
            f"{each} oifname @filtered goto {chain}"
            for each, chain in zip(
                _FOR_ALL,
                ("groupcast4", "groupcast4", "groupcast6"),
                strict=True,
            )
        ),
        hook="forward",
        priority=PRIORITY,
    ),
    NftChain(
        "judged_groupcast",
        tuple(
            f"{each} meta mark set {groupcast_mark.LET_IN:#010x} accept"
            for each in _FOR_ALL
        ),
    ),
)
# What guests ask of a host's DHCP server, and what says who their neighbours
# are, is for it.
TO_HOST = (
    f"{IP} ip daddr {_EVERYBODY} udp dport != 67 drop",
    f"{IP} ip daddr {_EVERYBODY} meta l4proto != udp drop",
    f"{IP} ip daddr @broadcasts drop",
    f"{IP6} ip6 daddr {_MULTICAST6} udp dport != 547 drop",
    f"{IP6} ip6 daddr {_MULTICAST6} meta l4proto != {{ udp, ipv6-icmp }} drop",
)
# In the table of family inet: what is yet to be judged by its mark is not
# marked as seen.
LEFT = NftChain(
    "left_groupcast",
    (
        f"ip daddr {_EVERYBODY} accept",
        "ip daddr @broadcasts accept",
        f"ip6 daddr {_MULTICAST6} accept",
    ),
)


def left(bridge: str) -> str:
    """Return the rule that leads there what crosses a bridge."""
    return f'oifname "{bridge}" iifname "{bridge}" {_IS_COPY} jump {LEFT.name}'
