"""A rule of a group that many are in."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import Any

from flatnet.apply.filter.iptables.profiles import GROUP_PREFIX
from flatnet.db import security_groups
from flatnet.lab.bench import counted_rules, rows
from flatnet.lab.bench.figure import FLOOR, Figure, Goal, Measured
from flatnet.lab.bench.site import Site
from flatnet.lab.conversation import Conversation
from flatnet.lab.namespaces import LabError
from flatnet.lab.node import Node

_FIRST_PORT = 20000


def add_rule(site: Site) -> Measured:
    """Write a rule and tell the hosts, until it is in force on all of them.

    It is as soon as the group's chain has a rule more; whether it is that one
    is looked at in the end.
    """
    count = site.effort.least
    ports = range(_FIRST_PORT, _FIRST_PORT + count)
    made: list[int] = []
    with _lookers(site) as lookers:
        chain = f"{GROUP_PREFIX}{site.group}"
        before = [_rules(each, chain, 0) for each in lookers]
        with site.spent() as spent:
            times = []
            for number, port in enumerate(ports, start=1):
                start = time.monotonic()
                made.append(_create(site, port))
                _tell(site)
                for looker, had in zip(lookers, before, strict=True):
                    _rules(looker, chain, had + number)
                times.append(time.monotonic() - start)
    for node in site.lab.nodes:
        _check(node, ports)
    for each in made:
        security_groups.delete_rule(site.database, each)
    _tell(site)
    least = [{"name": rows.new_uuid()} for _ in times]
    floor = site.floor("add_rule", least).p50
    value = sorted(times)[count // 2] * 1000
    (by_libraries,) = site.libraries.milliseconds(
        "add_rule", held=site.size, hosts=len(site.lab.nodes)
    )
    return Measured(value, floor, spent.each(count), by_libraries)


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


@contextlib.contextmanager
def _lookers(site: Site) -> Iterator[list[Conversation]]:
    """Programs that look at the rules of the hosts, one on each."""
    with contextlib.ExitStack() as stack:
        found = []
        for node in site.lab.nodes:
            looker = Conversation(
                counted_rules.__name__,
                namespace=node.namespace,
                log=site.lab.spec.directory / f"rules-{node.name}.log",
            )
            stack.callback(looker.close)
            found.append(looker)
        yield found


def _rules(looker: Conversation, chain: str, at_least: int) -> int:
    """Return how many rules a chain has, once they are so many."""
    found = int(looker.ask({"chain": chain, "at_least": at_least})["rules"])
    if found < at_least:
        raise LabError(f"{chain} has {found} rules, and not {at_least}")
    return found


def _check(node: Node, ports: Iterable[int]) -> None:
    """Look whether these ports are open.

    :raises LabError: one is not
    """
    saved = node.run("iptables-save")
    for port in ports:
        if f"--dport {port} " not in saved:
            raise LabError(f"{node.name}: port {port} is not open")
