"""How long what others destroy on a host stays destroyed."""

import time
from collections.abc import Callable
from functools import partial

from flatnet.lab.bench.figure import Figure, Goal, Measured
from flatnet.lab.bench.site import Site
from flatnet.lab.namespaces import LabError
from flatnet.lab.node import Node

_SECONDS = 120.0
_POLL_SECONDS = 0.01
_GOALS = (Goal(1000),)
Look = Callable[[Node], object]


def clobbered(site: Site, *, command: str, look: Look) -> Measured:
    """From the end of a command to the host being as before.

    The look itself takes some milliseconds, which count.
    """
    node = site.node
    before = look(node)
    node.run(command)
    start = time.monotonic()
    _await(node, look, before)
    took = time.monotonic() - start
    return Measured(took * 1000, _event_delay(site))


def tap_deleted(site: Site) -> Measured:
    """The same for a guest's port."""
    port = min(site.ports(site.node))
    return clobbered(site, command=f"ip link del {port}", look=site.ports)


def _rules(node: Node) -> list[str]:
    """The rules and chains of iptables, without counters and comments."""
    lines = node.run("iptables-save").splitlines()
    return sorted(
        line.partition(" [")[0] for line in lines if not line.startswith("#")
    )


def _tables(node: Node) -> object:
    """The same, and the guard's tables."""
    return _rules(node), sorted(node.run("nft list tables").splitlines())


FIGURES = (
    Figure(
        "iptables -F to repaired",
        "ms",
        partial(clobbered, command="iptables -F", look=_rules),
        _GOALS,
    ),
    Figure(
        "nft flush ruleset to repaired",
        "ms",
        partial(clobbered, command="nft flush ruleset", look=_tables),
        _GOALS,
    ),
    Figure("tap deleted to repaired", "ms", tap_deleted, _GOALS),
)


def _await(node: Node, look: Look, wanted: object) -> None:
    end = time.monotonic() + _SECONDS
    while look(node) != wanted:
        if time.monotonic() > end:
            raise LabError(f"{node.name} is not repaired in {_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)


def _event_delay(site: Site) -> float:
    """Milliseconds until the kernel has told of a change."""
    calls: list[dict[str, object]] = [{}] * site.effort.least
    delays = sorted(site.floor("event_delay", calls).answers)
    return float(delays[len(delays) // 2])
