"""Tables that were compared with the plan, and found to be as planned.

What is known of the kernel, and what is rendered, are the same objects as long
as they are the same, so that a host with a thousand groups is not compared
rule by rule for each guest that comes.
"""

from flatnet.apply.filter.iptables.iptables import Existing
from flatnet.apply.filter.iptables.placement import Placement
from flatnet.apply.filter.iptables.tables import Table

Compared = tuple[Existing, Table, Placement]


class Settled:
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

    def note(self, compared: Compared) -> None:
        """Note that these have no difference."""
        table = compared[1]
        self._known[table.family, table.name] = compared
