"""Who on the segment claims an address of this host or of its guests.

The guard drops such ARP, so that nobody here believes it; but machines on the
segment may, and then what is for the guest goes there.  The rule that drops it
notes it in a set of the kernel's, which has an end: whoever claims much costs
no more memory, nor wakes anybody.

Given up: what is claimed for less than a pass while the set is full.
"""

from collections.abc import Iterable

from flatnet.apply.filter.guard import nft_keys
from flatnet.state.plan import Guard

SET = "claims"
KEY = (
    "type ipv4_addr . ether_addr . ifname; size 1024; flags dynamic,timeout; "
    "timeout 5m"
)
RULE = (
    "ether type arp arp saddr ip @local_ipv4 "
    f"update @{SET} {{ arp saddr ip . arp saddr ether . iifname }}"
)
# Lines, whatever is claimed.
MOST = 5


def claims(guard: Guard, elements: Iterable[bytes]) -> tuple[str, ...]:
    """Return a line for each address that somebody claims, and few in all.

    :param elements: what the set holds
    """
    elements = tuple(elements)
    if not elements:
        return ()
    owners = {
        network.address: f"the bridge {network.bridge}"
        for network in guard.networks
        if network.address
    }
    owners |= {
        address: f"instance {port.instance_uuid}"
        for port in guard.ports
        for address in port.addresses
    }
    found: dict[str, list[tuple[str, ...]]] = {}
    for key in elements:
        address, *who = nft_keys.decoded(KEY, key)
        if address in owners:
            found.setdefault(address, []).append(tuple(who))
    lines = [
        _line(address, owners[address], sorted(found[address]))
        for address in sorted(found)
    ]
    if len(lines) > MOST:
        more = f"{len(lines) - MOST} more addresses of this host are claimed"
        return (*lines[:MOST], f"{more} on the segment")
    return tuple(lines)


def _line(address: str, owner: str, who: list[tuple[str, ...]]) -> str:
    mac, device = who[0]
    more = f" and {len(who) - 1} more" if len(who) > 1 else ""
    return (
        f"address {address} of {owner} is claimed by {mac}{more} on {device}: "
        "what is for it may go there; find that machine and give it another"
    )
