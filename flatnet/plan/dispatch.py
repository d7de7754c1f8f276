"""A tree of chains that finds an address in a few steps.

One rule per instance in one chain would cost every packet a comparison per
instance.  Under the root there is a rule per /24, under each of those one
per /28, and there one per address: a packet meets at most the number of
/24s in use and twice 16 rules.  IPv6 has the same shape at the low end of
the address, where EUI-64 puts the part of the MAC that differs.

A node's name is made of its prefix, so that an instance that comes or goes
changes the chains on its own path and no others.
"""

import hashlib
import ipaddress
from itertools import groupby

from flatnet.state import Chain

_LEVELS = {4: (24, 28), 6: (104, 108, 112)}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def tree(
    root: Chain, targets: tuple[tuple[Address, str], ...]
) -> tuple[Chain, ...]:
    """Return `root` with the rules of the tree added, and its nodes.

    `targets` are (address, rest of the rule such as `-j chain`), all of one
    family; two of one address are tried in their order.
    """
    ordered = sorted(targets, key=lambda target: int(target[0]))
    levels = _LEVELS[ordered[0][0].version] if ordered else ()
    rules, nodes = _branch(ordered, levels)
    grown = Chain(root.name, root.rules + rules)
    return grown, *sorted(nodes, key=lambda chain: chain.name)


def _branch(
    targets: list[tuple[Address, str]], levels: tuple[int, ...]
) -> tuple[tuple[str, ...], tuple[Chain, ...]]:
    """Return the rules of one node and all chains below it."""
    if not levels:
        leaves = (
            f"-d {address}/{address.max_prefixlen} {rest}"
            for address, rest in targets
        )
        return tuple(leaves), ()
    rules: tuple[str, ...] = ()
    chains: tuple[Chain, ...] = ()

    def prefix(target: tuple[Address, str]) -> str:
        return str(ipaddress.ip_network((target[0], levels[0]), strict=False))

    for cidr, members in groupby(targets, key=prefix):
        below, nodes = _branch(list(members), levels[1:])
        name = node_name(cidr)
        rules += (f"-d {cidr} -j {name}",)
        chains += (Chain(name, below), *nodes)
    return rules, chains


def node_name(cidr: str) -> str:
    """Return the chain of a prefix; at most 28 bytes, as iptables wants.

    An IPv4 prefix stands in it as hexadecimal digits, an IPv6 one, which
    would not fit, as the beginning of its hash.
    """
    network = ipaddress.ip_network(cidr)
    if network.version == 4:
        digits = f"{int(network.network_address):08x}"
        return f"flatnet-d-{digits[: network.prefixlen // 4]}"
    return f"flatnet-d-{hashlib.sha256(cidr.encode()).hexdigest()[:16]}"
