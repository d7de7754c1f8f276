"""What says of a copy of a groupcast for whose port it is: its mark.

A groupcast, a packet for a multicast or broadcast address, is one packet to
connection tracking and has no guest's address; the bridge makes a copy of it
for each port, and each is judged by itself.  The guard, which sees ports,
marks what is bound for a filtered guest with the guest's groups, and the rules
of iptables lead by that to the chains of these groups.  What they let in has
the bit of `judged_mark` beside it, and in the end there is no mark.

A mark has room for 28 bits of a hash: where two profiles of a host have the
same (see `iptables.groupcast_tree`), it leads to neither.
"""

import hashlib
import ipaddress
from functools import lru_cache

from flatnet.apply.filter import judged_mark

# That it is such a copy; that it is what bridges ask for members with.
COPY, QUERY = 0x80000000, 0x40000000
# What the rules have let in, and nothing else, bears this.
LET_IN = COPY | judged_mark.BIT
_DIGITS = 7
_REMEMBERED = 1 << 14
MULTICAST = {4: "224.0.0.0/4", 6: "ff00::/8"}
BROADCAST = "255.255.255.255"


@lru_cache(_REMEMBERED)
def profile_digits(groups: tuple[int, ...]) -> str:
    """Return what a mark says of these groups, as seven hex digits."""
    text = ",".join(map(str, groups))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def mark(groups: tuple[int, ...]) -> str:
    """Return the mark of a copy for a guest in these groups, in hex."""
    return f"{COPY | int(profile_digits(groups), 16):#010x}"


def digits_match(digits: str) -> str:
    """Return the match of iptables for marks that begin with these digits.

    As iptables-save prints it.
    """
    shift = 4 * (_DIGITS - len(digits))
    mask = (1 << 4 * len(digits)) - 1
    return f"-m mark --mark {int(digits, 16) << shift:#x}/{mask << shift:#x}"


def broadcast(cidr: str) -> str | None:
    """Return the broadcast address of a network, none if it has none.

    A network that is malformed, or too small, has none.
    """
    try:
        network = ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        return None
    # Of two addresses both are somebody's.
    if network.version != 4 or network.num_addresses < 4:
        return None
    return str(network.broadcast_address)
