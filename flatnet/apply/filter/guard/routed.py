"""The guard's tables of IP and ARP: what comes in beside a bridge.

The bridge table sees ports, these see whole packets with the device that
they came in by: the bridge for what crossed it, anything else for what the
host may be asked to route.
"""

from flatnet.apply.filter import judged_mark
from flatnet.apply.filter.guard import groupcasts, peers, severed
from flatnet.apply.filter.guard.bridge_rules import FIRST
from flatnet.apply.filter.guard.nft import NftChain
from flatnet.apply.link.link import SWITCHES
from flatnet.apply.link.strangers import Strangers
from flatnet.state.plan import METADATA, Guard, GuardedNetwork

# Before reassembly (-400), and so before connection tracking (-200).
BEFORE_DEFRAG = -450
# Before iptables' filter (0), once connections are known.
BEFORE_FILTER = -10
# Once it has judged.
AFTER_FILTER = 1

# Of one guest at a time: TCP connections to the host, and of these to the
# name server, which has twenty for all.
_TO_HOST, _TO_NAMES = 256, 4
# And connections that the machine remembers for it.  When one begins, the
# kernel looks at all that are counted with it, which took 4 ms for 16384.  So
# a guest's are counted in shares, each by itself, and chance says in which:
# it has no more than all shares hold (40960), and who has 16384 finds one of
# them full once in a million tries, and not in the next.  What TCP has closed
# the kernel does not count; it forgets that first where its table is full.
_SHARES, _PER_SHARE = 1024, 40
_SHARE = f"numgen random mod {_SHARES}"
_PER_ADDRESS = "type {kind}; size 65535; flags dynamic"
# All shares of as many guests as a bridge has ports; it takes what is used.
_MANY = "size 1048576; flags dynamic"
_HEADERS = ((4, "ip"), (6, "ip6"))
SET_KEYS = {
    "ports": "type ifname",
    "closed": "type ifname",
    "guests4": "type ipv4_addr",
    "guests6": "type ipv6_addr",
    "elsewhere": "type ifname",
    "judged4": "type ipv4_addr",
    "judged6": "type ipv6_addr",
    "broadcasts": groupcasts.SET_KEYS["broadcasts"],
    **peers.SET_KEYS,
    **severed.SET_KEYS,
    **{
        f"{name}{family}": _PER_ADDRESS.format(kind=kind)
        for name in ("host", "names")
        for family, kind in ((4, "ipv4_addr"), (6, "ipv6_addr"))
    },
    **{
        f"flows{family}": f"typeof {header} saddr . {_SHARE}; {_MANY}"
        for family, header in _HEADERS
    },
}
_BEGUN = "ct state ! established,related jump unjudged"
_STRAYS = ("iifname @ports drop", "iifname @closed drop")


def arp_chains(guard: Guard) -> tuple[NftChain, ...]:
    """Return the chains that drop ARP that reached the host off the bridge.

    And what others ask for the address that the host has for guests, which it
    would answer on any device.
    """
    bridges = [each.bridge for each in guard.networks if each.metadata]
    asked = f"arp daddr ip {METADATA}"
    # A rule for each: those of one bridge are found among those of all.
    own = (f'iifname "{bridge}" {asked} accept' for bridge in bridges)
    others = (f"{asked} drop",) if bridges else ()
    rules = (*_STRAYS, *own, *others)
    return (NftChain("input", rules, hook="input", priority=FIRST),)


def inet_chains(guard: Guard, strangers: Strangers) -> tuple[NftChain, ...]:
    """Return the chains that judge what is routed, or for the host."""
    outside = tuple(
        rule
        for network in guard.networks
        for rule in _from_outside(network, strangers.holders(network))
    )
    return (
        NftChain(
            "prerouting",
            _STRAYS + outside,
            hook="prerouting",
            priority=BEFORE_DEFRAG,
        ),
        peers.chain(guard),
        *(
            NftChain(hook, rules, hook=hook, priority=BEFORE_FILTER)
            for hook, rules in (
                ("output", (peers.JUMP,)),
                ("forward", (peers.JUMP, *severed.RULES, *_flows())),
                ("input", (peers.JUMP, *severed.RULES, *_for_host(guard))),
                ("postrouting", _astray(guard, strangers)),
            )
        ),
        _unjudged(guard),
        *(groupcasts.LEFT,) * guard.isolated,
        *(
            NftChain(
                f"judged_{hook}",
                (_BEGUN, *rules),
                hook=hook,
                priority=AFTER_FILTER,
            )
            for hook, rules in (
                ("output", _sent(guard)),
                ("forward", _left(guard)),
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
    return (*rules, *_of_router(network))


def _of_router(network: GuardedNetwork) -> tuple[str, ...]:
    """The same for the router of IPv6 that the host is, if it is one."""
    if not network.routers:
        return ()
    own = f"{{ {', '.join(network.routers)} }}"
    stranger = f'ip6 daddr {own} iifname != {{ "lo", "{network.bridge}" }}'
    return (
        f'ip6 saddr {own} meta pkttype host iifname "{network.bridge}" drop',
        f"{stranger} udp dport {{ 53, 547 }} drop",
        f"{stranger} tcp dport 53 drop",
    )


def _astray(guard: Guard, strangers: Strangers) -> tuple[str, ...]:
    """Drop what is for a guest and leaves by a bridge that was renamed.

    Rules of iptables name the bridge, so that they judge nothing there.  In
    postrouting the device is the last one, after any NAT.  Whoever leaves by a
    card, or by a bridge that no guest is on, goes the long way round.
    """
    ways = (
        name
        for network in guard.networks
        for name in (network.bridge, *strangers.holders(network))
    )
    return (
        *(f'oifname "{name}" accept' for name in dict.fromkeys(ways)),
        *(
            f"meta oifkind {{ {_quoted(*SWITCHES)} }} oifname != @elsewhere "
            f"{header} daddr @guests{n} drop"
            for n, header in _HEADERS
        ),
    )


def _unjudged(guard: Guard) -> NftChain:
    """Drop what begins with a filtered guest and was judged by no rule.

    Who flushed iptables opens nothing, and cuts nobody.
    """
    networks = () if guard.has_foreign_openings else guard.networks
    rules = [
        f'{judged_mark.IS_MISSING} oifname "{network.bridge}" '
        f"{header} daddr @judged{family} drop"
        for network in networks
        for family, header in _HEADERS
    ]
    if networks:
        # What the host sends to a floating address bears another device yet.
        rules.append(
            f"{judged_mark.IS_MISSING} ct status dnat ip daddr @judged4 drop"
        )
    return NftChain("unjudged", tuple(rules))


def _left(guard: Guard) -> tuple[str, ...]:
    """Mark what the bridge is yet to judge, and no more what it is not."""
    copies = (
        groupcasts.left(network.bridge)
        for network in guard.networks
        if guard.isolated
    )
    return *copies, *(
        f'oifname "{network.bridge}" {rule}'
        for network in guard.networks
        for rule in (
            f'iifname "{network.bridge}" {judged_mark.SET}',
            f'iifname != "{network.bridge}" {judged_mark.CLEARED}',
        )
    )


def _sent(guard: Guard) -> tuple[str, ...]:
    """Take the bit from what the host sends itself."""
    return tuple(
        f'oifname "{network.bridge}" {judged_mark.CLEARED}'
        for network in guard.networks
    )


def _limits(who: str, family: int) -> tuple[str, ...]:
    """Drop what would begin one connection too many, by source."""
    header = dict(_HEADERS)[family]
    return tuple(
        f"ct state new {who} {match}"
        f"add @{name}{family} {{ {header} saddr ct count over {most} }} drop"
        for name, match, most in (
            ("names", "tcp dport 53 ", _TO_NAMES),
            ("host", "meta l4proto tcp ", _TO_HOST),
        )
    )


def _for_host(guard: Guard) -> tuple[str, ...]:
    """Limit what a guest begins with the host, as its gateway, too."""
    return (
        *(
            rule
            for family, header in _HEADERS
            for rule in _limits(f"{header} saddr @guests{family}", family)
        ),
        # Those of other hosts are in no set here.
        *(
            rule
            for network in guard.networks
            if network.shared and network.serves
            for rule in _limits(
                f'iifname "{network.bridge}" ip saddr {network.cidr} '
                "ip saddr != @guests4",
                4,
            )
        ),
        *_flows(),
    )


def _flows() -> tuple[str, ...]:
    """Drop what would begin one connection too many for its share.

    Only what begins one: of who gets no answer all packets are new ones.
    """
    return tuple(
        f"ct state new ct status ! confirmed {header} saddr @guests{family} "
        f"add @flows{family} {{ {header} saddr . {_SHARE} "
        f"ct count over {_PER_SHARE} }} drop"
        for family, header in _HEADERS
    )


def _quoted(*names: str) -> str:
    return ", ".join(f'"{name}"' for name in dict.fromkeys(names))
