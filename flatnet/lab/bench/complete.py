"""Whether hosts have what callers were told that they have, or have no longer.

It is looked at after the calls, and so takes nothing of what is measured.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from flatnet.lab import namespaces
from flatnet.lab.bench import dns_names, script
from flatnet.lab.bench.rows import NewInstance
from flatnet.lab.namespaces import LabError
from flatnet.lab.node import Node
from flatnet.lab.spec import BRIDGE

_DOMAIN = "novalocal"
_DEVICE, _PORT, _LINE = (
    "device",
    "port of the bridge",
    "line of the hosts file",
)
_KNOWN = "name that dnsmasq knows"
_SENDER, _FILTERED = "element of the guard", "element of the guard's filter"
_MEMBER, _GROUP = "member of the filter's set", "member of a group's set"
# Sets of ipset: whose traffic is filtered, and by which rules.
_FILTER, PROFILE = "flatnet-filtered4", "flatnet-p4-"


@dataclass(frozen=True)
class ServedGuest:
    """A guest of a host as an answer has it; `server` is its DNS server's.

    `places` are where it has to be found.
    """

    host: str
    name: str
    device: str
    mac: str
    address: str
    server: str
    places: frozenset[str]


def guests(
    instances: Iterable[NewInstance], answers: Iterable[Any], *, same_net: bool
) -> list[ServedGuest]:
    """The guests that answers are about.

    :param same_net: whether who is in no group is not filtered
    :raises LabError: one is said not to be up
    """
    return [
        _guest(instance, vif, same_net=same_net)
        for instance, vifs in zip(instances, answers, strict=False)
        for vif in vifs
    ]


def ports(node: Node) -> frozenset[str]:
    """The taps that are on the bridge of a host."""
    listed = node.run(["ls", f"/sys/class/net/{BRIDGE}/brif"]).split()
    return frozenset(name for name in listed if name.startswith("tap"))


def sets(node: Node) -> dict[str, set[str]]:
    """The members of the sets of ipset, by the sets' names."""
    found: dict[str, set[str]] = {}
    for line in node.run("ipset save").splitlines():
        verb, name, member, *_ = line.split()
        if verb == "add":
            found.setdefault(name, set()).add(member)
    return found


def check_there(nodes: Sequence[Node], wanted: Sequence[ServedGuest]) -> None:
    """Look for each guest on its host.

    :raises LabError: something of it is missing
    """
    for node in nodes:
        here = [each for each in wanted if each.host == node.name]
        for guest, found in _places(node, here, known=len(here)):
            if missing := guest.places - found:
                raise LabError(
                    f"{guest.device} of {guest.name} on {node.name} has no "
                    + ", ".join(sorted(missing))
                )


def check_gone(nodes: Sequence[Node], wanted: Sequence[ServedGuest]) -> None:
    """Look whether nothing of any guest is left on its host.

    :raises LabError: something is
    """
    for node in nodes:
        here = [each for each in wanted if each.host == node.name]
        for guest, found in _places(node, here, known=0):
            if found:
                raise LabError(
                    f"{guest.device} of {guest.name} on {node.name} still has "
                    f"a {', '.join(sorted(found))}"
                )


def _guest(instance: NewInstance, vif: Any, *, same_net: bool) -> ServedGuest:
    if not vif["active"]:
        raise LabError(f"{vif['devname']} is not up on its bridge")
    subnet = vif["network"]["subnets"][0]
    places = {_DEVICE, _PORT, _LINE, _KNOWN, _SENDER}
    if instance.groups or not same_net:
        places |= {_FILTERED, _MEMBER}
    if instance.groups:
        places.add(_GROUP)
    return ServedGuest(
        host=instance.host,
        name=f"{instance.hostname}.{_DOMAIN}",
        device=vif["devname"],
        mac=vif["address"],
        address=subnet["ips"][0]["address"],
        server=subnet["gateway"]["address"],
        places=frozenset(places),
    )


def _places(
    node: Node, wanted: Sequence[ServedGuest], *, known: int
) -> list[tuple[ServedGuest, frozenset[str]]]:
    """Where each of some guests of a host is found.

    :param known: of how many dnsmasq should know the names; it has had the
        signal to read its files, and is given the time to
    """
    if not wanted:
        return []
    named = _named(node, wanted, known)
    devices = set(node.run(["ls", "/sys/class/net"]).split())
    lines = set(node.hosts_text(BRIDGE).splitlines())
    on_bridge, members = ports(node), sets(node)
    senders, filtered = _elements(node, "ipv4"), _elements(node, "filtered")
    grouped = frozenset[str]().union(
        *(each for name, each in members.items() if name.startswith(PROFILE))
    )

    def places(of: ServedGuest) -> frozenset[str]:
        line = f"{of.mac},{of.name},{of.address}"
        found = {
            _DEVICE: of.device in devices,
            _PORT: of.device in on_bridge,
            _LINE: line in lines,
            _KNOWN: named.get(of.name) == of.address,
            _SENDER: (of.device, of.address) in senders,
            _FILTERED: (of.device,) in filtered,
            _MEMBER: of.address in members.get(_FILTER, ()),
            _GROUP: of.address in grouped,
        }
        return frozenset(
            place for place, is_there in found.items() if is_there
        )

    return [(each, places(each)) for each in wanted]


def _named(
    node: Node, wanted: Sequence[ServedGuest], count: int
) -> dict[str, str]:
    """The addresses of the names that dnsmasq knows."""
    words = [wanted[0].server, str(count), *(each.name for each in wanted)]
    said = namespaces.run(
        script.command(node.namespace, dns_names.__file__, *words)
    )
    found: dict[str, str] = json.loads(said)
    return found


def _elements(node: Node, name: str) -> set[tuple[str, ...]]:
    """The elements of a set of the guard."""
    text = node.run(["nft", "-j", "list", "set", "bridge", "flatnet", name])
    elements = json.loads(text)["nftables"][1]["set"].get("elem", ())
    return {
        tuple(each["concat"]) if isinstance(each, dict) else (each,)
        for each in elements
    }
