"""Whether hosts have what callers were told that they have."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from flatnet.lab.namespaces import LabError
from flatnet.lab.node import Node
from flatnet.lab.spec import BRIDGE


def ports(node: Node) -> frozenset[str]:
    """The taps that are on the bridge of a host."""
    listed = node.run(["ls", f"/sys/class/net/{BRIDGE}/brif"]).split()
    return frozenset(name for name in listed if name.startswith("tap"))


def check(nodes: Sequence[Node], answers: Iterable[Any]) -> None:
    """Look for each interface of the answers, on all hosts together.

    :raises LabError: a port, an address or a line is missing
    """
    there = frozenset[str]().union(*map(ports, nodes))
    hosts = "".join(node.hosts_text(BRIDGE) for node in nodes)
    for vif in itertools.chain.from_iterable(answers):
        address = vif["network"]["subnets"][0]["ips"][0]["address"]
        if not vif["active"] or vif["devname"] not in there:
            raise LabError(f"{vif['devname']} is not up on its bridge")
        if f",{address}\n" not in hosts:
            raise LabError(f"{address} is in no hosts file")
