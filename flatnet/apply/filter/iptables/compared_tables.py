"""Tables that were compared with the plan, and found to be as planned.

What is known of the kernel, and what is rendered, are the same objects as long
as they are the same, so that a host with a thousand groups is not compared
rule by rule for each guest that comes, nor for each group: where nobody has
written since, chains that are planned as they were are as planned.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from flatnet.apply.filter.iptables.iptables import Existing
from flatnet.apply.filter.iptables.placement import Placement
from flatnet.apply.filter.iptables.tables import Table
from flatnet.apply.sequence_diff import differing

Compared = tuple[Existing, Table, Placement]
T = TypeVar("T")


class ComparedTables:
    """The last comparison of each table that had no difference."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str], Compared] = {}

    def has(self, compared: Compared) -> bool:
        """Whether these very objects had no difference."""
        existing, table, place = compared
        known = self._known.get((table.family, table.name))
        return (
            known is not None
            and known[0] is existing
            and known[1] is table
            and known[2] == place
        )

    def rest(self, compared: Compared) -> tuple[Existing, Table]:
        """Return of a comparison what may differ: all but settled chains.

        Where it is not of what the last one was of, it is all there is.
        Jumps are always in it.
        """
        existing, table, _ = compared
        known = self._known.get((table.family, table.name))
        if known is None or known[0] is not existing:
            return existing, table
        went, came = differing(known[1].chains, table.chains)
        names = {each.name for each in (*went, *came)}
        narrowed = replace(
            existing,
            chains=_named(existing.chains, names),
            texts=_named(existing.texts, names),
        )
        return narrowed, replace(table, chains=tuple(came))

    def note(self, compared: Compared) -> None:
        """Note that these have no difference."""
        table = compared[1]
        self._known[table.family, table.name] = compared


def _named(chains: Mapping[str, T], names: set[str]) -> dict[str, T]:
    return {name: chains[name] for name in names & chains.keys()}
