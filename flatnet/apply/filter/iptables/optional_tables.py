"""Tables without which guests are as safe as with them.

A kernel may lack what one needs: then guests lack what it was for, which is
said once, and no pass fails for it.  It is tried again by the next process.
"""

import contextlib
from dataclasses import replace
from pathlib import Path

from flatnet.apply.command import run
from flatnet.apply.filter.iptables.firewall_failures import of_table
from flatnet.apply.filter.iptables.tables import Rules, Table
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import Changes

_MODULES, _SYMBOLS = Path("/sys/module"), Path("/proc/kallsyms")
# Has source NAT change what a guest's TFTP server is expected to answer.  The
# rule asks the kernel for the other half alone, and without this the server
# would be let in to the host, at whatever port the guest asked from.
_NAT = "nf_nat_tftp"
# What guests lack, by name.
_LACKING = {
    "raw": "guests get no answers by TFTP through this host (is there "
    "nf_conntrack_tftp?)"
}


class OptionalTables:
    """Those that the kernel has refused to one process."""

    def __init__(self) -> None:
        self._refused: set[str] = set()
        self._is_complete: bool | None = None

    def usable(self, planned: Rules) -> Rules:
        """Return what is planned without the tables that were refused."""
        if not self._refused:
            return planned
        tables = (t for t in planned.tables if t.name not in self._refused)
        return replace(planned, tables=tuple(tables))

    def lacking(self, table: Table) -> Changes | None:
        """Return what it means that the kernel lacks what a table needs.

        None where it has all of that.
        """
        if table.name not in _LACKING or not table.chains:
            return None
        if self._is_complete is None:
            self._is_complete = _has_nat()
        if self._is_complete:
            return None
        return self.refused(table, f"the kernel has no {_NAT}")

    def refused(self, table: Table, error: str) -> Changes:
        """Return what it means that a table could not be written."""
        if table.name not in _LACKING or not table.chains:
            return of_table(table, error)
        self._refused.add(table.name)
        return Changes(warnings=(f"{_LACKING[table.name]}: {error}",))


def _has_nat() -> bool:
    """Whether the module is there, is built in, or comes when it is called."""
    module = _MODULES / _NAT
    if module.exists() or f" {_NAT}_init" in _SYMBOLS.read_text():
        return True
    with contextlib.suppress(HostSetupError):
        run("modprobe", _NAT)
    return module.exists()
