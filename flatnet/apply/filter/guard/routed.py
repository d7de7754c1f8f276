"""The guard's tables of IP and ARP: what comes in beside a bridge.

The bridge table sees ports, these see whole packets with the device that
they came in by: the bridge for what crossed it, anything else for what the
host may be asked to route.
"""

from flatnet.apply.filter.guard import met, severed
from flatnet.apply.filter.guard.nft import Chain
from flatnet.apply.filter.guard.rules import FIRST
from flatnet.apply.link.strangers import Strangers
from flatnet.state.plan import Guard, GuardedNetwork

# Before reassembly (-400), and so before connection tracking (-200).
BEFORE_DEFRAG = -450
# Before iptables' filter (0), once connections are known.
BEFORE_FILTER = -10

# Of one guest at a time: connections that the machine remembers for it, TCP
# connections to the host, and of these to the name server, which has twenty
# for all.
_FLOWS, _TO_HOST, _TO_NAMES = 16384, 256, 4
_PER_ADDRESS = "type {kind}; size 65535; flags dynamic"
SET_KEYS = {
    "ports": "type ifname",
    "closed": "type ifname",
    "guests4": "type ipv4_addr",
    "guests6": "type ipv6_addr",
    **met.SET_KEYS,
    **severed.SET_KEYS,
    **{
        f"{name}{family}": _PER_ADDRESS.format(kind=kind)
        for name in ("flows", "host", "names")
        for family, kind in ((4, "ipv4_addr"), (6, "ipv6_addr"))
    },
}
_STRAYS = ("iifname @ports drop", "iifname @closed drop")


def arp_chains() -> tuple[Chain, ...]:
    """Return the chains that drop ARP that reached the host off the bridge."""
    return (Chain("input", _STRAYS, hook="input", priority=FIRST),)


def inet_chains(guard: Guard, strangers: Strangers) -> tuple[Chain, ...]:
    """Return the chains that judge what is routed, or for the host."""
    outside = tuple(
        rule
        for network in guard.networks
        for rule in _from_outside(network, strangers.holders(network))
    )
    return (
        Chain(
            "prerouting",
            _STRAYS + outside,
            hook="prerouting",
            priority=BEFORE_DEFRAG,
        ),
        met.chain(guard),
        *(
            Chain(hook, (met.JUMP, *rules), hook=hook, priority=BEFORE_FILTER)
            for hook, rules in (
                ("output", ()),
                (
                    "forward",
                    severed.RULES + _limits(("flows", "", _FLOWS)),
                ),
                (
                    "input",
                    severed.RULES
                    + _limits(
                        ("names", "tcp dport 53 ", _TO_NAMES),
                        ("host", "meta l4proto tcp ", _TO_HOST),
                        ("flows", "", _FLOWS),
                    ),
                ),
            )
        ),
    )


def _from_outside(
    network: GuardedNetwork, holders: tuple[str, ...]
) -> tuple[str, ...]:
    """Drop who claims to be of the network and is not on its bridge.

    Whatever rp_filter says, and before the packet can begin a connection.
    `holders` are devices that truly have an address of it.
    """
    outside = f"iifname != {{ {_quoted('lo', network.bridge, *holders)} }}"
    rules = [f"ip saddr {network.cidr} {outside} drop"]
    if network.cidr_v6:
        rules.append(f"ip6 saddr {network.cidr_v6} {outside} drop")
    if network.address:
        # The host hears its own groupcasts by the bridge, and no more.
        rules.append(
            f"ip saddr {network.address} meta pkttype host "
            f'iifname "{network.bridge}" drop'
        )
    if network.serves:
        stranger = (
            f"ip daddr {network.address} "
            f'iifname != {{ "lo", "{network.bridge}" }}'
        )
        rules += [
            f"{stranger} udp dport {{ 53, 67 }} drop",
            f"{stranger} tcp dport 53 drop",
        ]
    return tuple(rules)


def _limits(*limits: tuple[str, str, int]) -> tuple[str, ...]:
    """Drop what would begin one connection too many, by source."""
    return tuple(
        f"ct state new {header} saddr @guests{family} {match}"
        f"add @{name}{family} {{ {header} saddr ct count over {most} }} drop"
        for name, match, most in limits
        for family, header in ((4, "ip"), (6, "ip6"))
    )


def _quoted(*names: str) -> str:
    return ", ".join(f'"{name}"' for name in dict.fromkeys(names))
