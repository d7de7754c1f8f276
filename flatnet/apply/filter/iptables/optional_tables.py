"""Tables without which guests are as safe as with them.

A kernel may lack what one needs: then guests lack what it was for, which is
said once, and no pass fails for it.  It is tried again by the next process.
"""

from dataclasses import replace

from flatnet.apply.filter.iptables.firewall_failures import of_table
from flatnet.apply.filter.iptables.tables import Rules, Table
from flatnet.state.changes import Changes

# What guests lack, by name.
_LACKING = {
    "raw": "guests get no answers by TFTP through this host (is there "
    "nf_conntrack_tftp?)"
}


class OptionalTables:
    """Those that the kernel has refused to one process."""

    def __init__(self) -> None:
        self._refused: set[str] = set()

    def usable(self, planned: Rules) -> Rules:
        """Return what is planned without the tables that were refused."""
        if not self._refused:
            return planned
        tables = (t for t in planned.tables if t.name not in self._refused)
        return replace(planned, tables=tuple(tables))

    def refused(self, table: Table, error: str) -> Changes:
        """Return what it means that a table could not be written."""
        if table.name not in _LACKING or not table.chains:
            return of_table(table, error)
        self._refused.add(table.name)
        return Changes(warnings=(f"{_LACKING[table.name]}: {error}",))
