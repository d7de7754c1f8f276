"""Pairs of guests that traffic passes between.

Those of the floor are on a bridge of the floor's node.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flatnet.db import security_groups
from flatnet.lab import namespaces
from flatnet.lab.bench import least
from flatnet.lab.bench.site import Site

PORT = 9000
DEVICE = "eth0"
_NAMES = ("sender", "receiver")
_FLOOR_ADDRESSES = ("192.0.2.1", "192.0.2.2")
# What a bridge hands to netfilter.
_NOTHING: Mapping[str, str] = {
    "net/bridge/bridge-nf-call-iptables": "0",
    "net/bridge/bridge-nf-call-ip6tables": "0",
}
_EVERYTHING: Mapping[str, str] = dict.fromkeys(_NOTHING, "1")
_RULE = "iptables -{} FORWARD -m conntrack --ctstate NEW -j ACCEPT"


@dataclass(frozen=True)
class Pair:
    """Two namespaces, each with an eth0, and the address of the second."""

    sender: str
    receiver: str
    address: str


@contextlib.contextmanager
def guests(site: Site, groups: int) -> Iterator[Pair]:
    """Two guests in so many groups each, the last of which let traffic in."""
    with contextlib.ExitStack() as undo:
        wanted = undo.enter_context(site.newcomers_in(groups, len(_NAMES)))
        for group in {each.groups[-1] for each in wanted}:
            for protocol in ("tcp", "udp"):
                rule = security_groups.create_rule(
                    site.database,
                    group=group,
                    protocol=protocol,
                    from_port=PORT,
                    to_port=PORT,
                    cidr="0.0.0.0/0",
                )
                undo.callback(
                    security_groups.delete_rule, site.database, rule.id
                )
        calls = site.allocate_at_once(wanted)
        (sender, _), (receiver, address) = (
            undo.enter_context(_guest(site, name, vif))
            for name, (vif,) in zip(_NAMES, calls.answers, strict=True)
        )
        yield Pair(sender, receiver, address)


@contextlib.contextmanager
def unfiltered(site: Site) -> Iterator[Pair]:
    """Two on a bridge that hands no packet to netfilter."""
    with _plain(site, _NOTHING) as pair:
        yield pair


@contextlib.contextmanager
def tracked(site: Site) -> Iterator[Pair]:
    """Two on a bridge that tracks connections and has one rule.

    No stateful filter can do without.
    """
    node = site.floor_namespace
    with _plain(site, _EVERYTHING) as pair:
        namespaces.run(namespaces.inside(node, _RULE.format("A").split()))
        try:
            yield pair
        finally:
            namespaces.run(namespaces.inside(node, _RULE.format("D").split()))


@contextlib.contextmanager
def _plain(site: Site, handed: Mapping[str, str]) -> Iterator[Pair]:
    """Two on a bridge of the floor's node, and what netfilter sees of it."""
    node = site.floor_namespace
    namespaces.set_sysctls(node, handed)
    with contextlib.ExitStack() as undo:
        sender, receiver = (
            undo.enter_context(_plain_guest(site, f"plain{number}", address))
            for number, address in enumerate(_FLOOR_ADDRESSES)
        )
        yield Pair(sender, receiver, _FLOOR_ADDRESSES[1])


@contextlib.contextmanager
def _guest(
    site: Site, name: str, vif: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    """A guest on its port: its namespace, its address."""
    guest = site.lab.guest(name, node=site.node, vif_uuid=vif["id"])
    try:
        address = vif["network"]["subnets"][0]["ips"][0]["address"]
        namespaces.configure(
            guest.namespace, f"link set {DEVICE} address {vif['address']}"
        )
        _begin(guest.namespace, f"{address}/16")
        yield guest.namespace, address
    finally:
        guest.remove()


@contextlib.contextmanager
def _plain_guest(site: Site, port: str, address: str) -> Iterator[str]:
    guest = site.lab.spec.namespace(port)
    namespaces.add(guest)
    try:
        namespaces.configure(
            site.floor_namespace,
            f"link add {port} type veth peer name {DEVICE} netns {guest}",
            f"link set {port} master {least.BRIDGE} up",
        )
        _begin(guest, f"{address}/24")
        yield guest
    finally:
        namespaces.remove(guest)


def _begin(namespace: str, address: str) -> None:
    namespaces.configure(
        namespace, f"addr add {address} dev {DEVICE}", f"link set {DEVICE} up"
    )
