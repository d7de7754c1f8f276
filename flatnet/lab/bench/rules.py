"""A rule of a group that many are in."""

import time
from typing import Any

from flatnet.db import security_groups
from flatnet.lab.bench import rows
from flatnet.lab.bench.figure import FLOOR, Figure, Goal, Measured
from flatnet.lab.bench.site import Site
from flatnet.lab.namespaces import LabError
from flatnet.lab.node import Node

_FIRST_PORT = 20000
_SECONDS = 60.0
_POLL_SECONDS = 0.005


def add_rule(site: Site) -> Measured:
    """Write a rule and tell the hosts, until it is in force on all of them.

    The look for it takes some milliseconds itself, on each.
    """
    times, made = [], []
    with site.spent() as spent:
        for number in range(site.effort.least):
            port = _FIRST_PORT + number
            start = time.monotonic()
            made.append(_create(site, port))
            _tell(site)
            for node in site.lab.nodes:
                _await(node, port)
            times.append(time.monotonic() - start)
    for each in made:
        security_groups.delete_rule(site.database, each)
    _tell(site)
    least = [{"name": rows.new_uuid()} for _ in range(site.effort.least)]
    floor = site.floor("add_rule", least).p50
    value = sorted(times)[len(times) // 2] * 1000
    (by_libraries,) = site.libraries.milliseconds(
        "add_rule", held=site.size, hosts=len(site.lab.nodes)
    )
    return Measured(value, floor, spent.each(len(times)), by_libraries)


def figure(title: str) -> Figure:
    """The figure of groups that have so many members."""
    return Figure(f"a rule of {title}", "ms", add_rule, (Goal(3, FLOOR),))


def _create(site: Site, port: int) -> int:
    """Write a rule after all others of the group; return its id."""
    rule = security_groups.create_rule(
        site.database,
        group=site.group,
        protocol="tcp",
        from_port=port,
        to_port=port,
        cidr="0.0.0.0/0",
    )
    return rule.id


def _tell(site: Site) -> None:
    told: dict[str, Any] = {"group_ids": [site.group], "instance_ids": []}
    site.ask("security_groups_changed", told)


def _await(node: Node, port: int) -> None:
    end = time.monotonic() + _SECONDS
    while f"--dport {port} " not in node.run("iptables-save"):
        if time.monotonic() > end:
            raise LabError(
                f"{node.name}: port {port} is not open after {_SECONDS:.0f} s"
            )
        time.sleep(_POLL_SECONDS)
