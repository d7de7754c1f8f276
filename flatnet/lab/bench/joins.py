"""Who joins a group with many members, from which a rule lets in.

The members run on other hosts.  This one has guests whose group has the rule,
and so has a set of all members.
"""

import contextlib
import statistics
import time
from collections.abc import Iterator
from typing import Any

from flatnet.db import memberships, security_groups
from flatnet.lab.bench import counted_sets, crowd, rows
from flatnet.lab.bench.figure import FLOOR, Figure, Goal, Measured
from flatnet.lab.bench.site import Site
from flatnet.lab.conversation import Conversation
from flatnet.lab.namespaces import LabError


def join(site: Site) -> Measured:
    """Milliseconds from writing a member to its being in the host's set."""
    count, joins = site.effort.members, site.effort.least
    (group,) = rows.add_groups(site.database, 1)
    with (
        crowd.crowd(site.database, group, count, joins) as outside,
        _source(site, group),
        _counted(site) as sets,
    ):
        name = _awaited(sets, [], count)
        with site.spent() as spent:
            times = [
                _join(site, group, each.uuid, sets, name, count + number)
                for number, each in enumerate(outside, start=1)
            ]
    least = [{"name": rows.new_uuid()} for _ in times]
    floor = site.floor("join", least).p50
    (by_libraries,) = site.libraries.milliseconds("join", held=site.size)
    used = spent.each(joins)
    return Measured(statistics.median(times), floor, used, by_libraries)


FIGURES = (
    Figure("a member of a source group", "ms", join, (Goal(3, FLOOR),)),
)


def _join(
    site: Site, group: int, uuid: str, sets: Conversation, name: str, now: int
) -> float:
    """Milliseconds of one; `now` is how many members there are with it."""
    start = time.monotonic()
    memberships.add_instance(site.database, group=group, instance=uuid)
    _tell(site, {"group_ids": [group], "instance_ids": [uuid]})
    _awaited(sets, [name], now)
    return (time.monotonic() - start) * 1000


@contextlib.contextmanager
def _source(site: Site, group: int) -> Iterator[None]:
    """A rule of our guests' group that lets members of this group in."""
    rule = security_groups.create_rule(
        site.database, group=site.group, source_group=group
    )
    told: dict[str, Any] = {"group_ids": [site.group], "instance_ids": []}
    _tell(site, told)
    try:
        yield
    finally:
        security_groups.delete_rule(site.database, rule.id)
        _tell(site, told)


def _tell(site: Site, told: dict[str, Any]) -> None:
    site.ask("security_groups_changed", told)


@contextlib.contextmanager
def _counted(site: Site) -> Iterator[Conversation]:
    sets = Conversation(
        counted_sets.__name__,
        namespace=site.node.namespace,
        log=site.lab.spec.directory / "sets.log",
    )
    try:
        yield sets
    finally:
        sets.close()


def _awaited(sets: Conversation, names: list[str], count: int) -> str:
    """Return which of these sets, or of all, has so many members."""
    found = sets.ask({"names": names, "at_least": count})["name"]
    if not found:
        raise LabError(f"no set has {count} members")
    return str(found)
