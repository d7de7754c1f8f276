"""Rules that translate floating addresses: to guests, and from them.

A packet that begins a connection goes down these; all others are translated
as the first was.  So that a thousand addresses cost it some sixty rules,
these stand in chains by ranges of 32.
"""

import socket
from collections import defaultdict
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address

from flatnet.apply.filter.iptables.chain_layout import ChainLayout
from flatnet.apply.filter.iptables.tables import Chain
from flatnet.state.filtering import FloatingAddress

SNAT = "flatnet-float-snat"
# Bits of what is one chain's.
_WITHIN = 5


def to_guests(layout: ChainLayout) -> tuple[str, ...]:
    """Lead what is for floating addresses to those of guests."""
    return _ways("-d", "flatnet-float-", _of_addresses(layout.floating))


def from_guests(layout: ChainLayout, cidr: str) -> tuple[str, ...]:
    """Lead a network's guests to where they get floating addresses."""
    return (f"-s {cidr} -j {SNAT}",) if layout.floating else ()


def chains(layout: ChainLayout) -> tuple[Chain, ...]:
    """Return the chains in which it is done."""
    if not layout.floating:
        return ()
    led = _of_addresses(layout.floating)
    given = _of_fixed(layout.floating)
    return (
        *_chains("flatnet-float-", led),
        Chain(SNAT, _ways("-s", f"{SNAT}-", given)),
        *_chains(f"{SNAT}-", given),
    )


_Blocks = Mapping[int, list[str]]


def _of_addresses(floating: Iterable[FloatingAddress]) -> _Blocks:
    blocks = defaultdict(list)
    for each in floating:
        blocks[_block(each.address)].append(
            f"-d {each.address}/32 -j DNAT --to-destination {each.fixed}"
        )
    return blocks


def _of_fixed(floating: Iterable[FloatingAddress]) -> _Blocks:
    """By the first that leads to an address that is known outside.

    So it is too for itself and its neighbours, where these are asked by such
    an address: who is asked then answers by way of the host.
    """
    first: dict[str, FloatingAddress] = {}
    for each in floating:
        first.setdefault(each.fixed, each)
    blocks: defaultdict[int, list[str]] = defaultdict(list)
    for fixed, each in first.items():
        target = f"-j SNAT --to-source {each.address}"
        blocks[_block(fixed)] += [
            f"-s {fixed}/32 -o {each.device} {target}",
            f"-s {fixed}/32 -m conntrack --ctstate DNAT {target}",
        ]
    return blocks


def _block(address: str) -> int:
    return int.from_bytes(socket.inet_aton(address)) >> _WITHIN


def _ways(match: str, start: str, blocks: _Blocks) -> tuple[str, ...]:
    return tuple(
        f"{match} {IPv4Address(each << _WITHIN)}/{32 - _WITHIN} "
        f"-j {start}{each:07x}"
        for each in sorted(blocks)
    )


def _chains(start: str, blocks: _Blocks) -> tuple[Chain, ...]:
    return tuple(
        Chain(f"{start}{each:07x}", tuple(rules))
        for each, rules in sorted(blocks.items())
    )
