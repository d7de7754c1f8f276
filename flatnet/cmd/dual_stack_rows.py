"""The rows of one host where networks are dual stack."""

from flatnet.cmd.hostrows import DatabaseRows
from flatnet.db import ipv6_rows
from flatnet.plan.ipv6 import lacking
from flatnet.plan.kept_rows import Kept
from flatnet.state.rows import Snapshot
from flatnet.state.scope import Covered, Scope


class DualStackRows(DatabaseRows):
    """The same, with the IPv6 addresses of all interfaces.

    Instances that are older than the option, or than the network's range,
    get theirs when their rows are read by their host.
    """

    _complete: Snapshot | None = None

    def _read(self, scope: Scope, before: Kept) -> tuple[Snapshot, Covered]:
        rows, covered = super()._read(scope, before)
        # As long as nothing differs the same object is read.
        if rows is self._complete:
            return rows, covered
        if found := lacking(rows.interfaces, rows.networks):
            ipv6_rows.ensure(
                self._database,
                network_ids=frozenset(found.values()),
                interface_uuids=frozenset(found),
            )
            rows, covered = super()._read(scope, before)
        if covered.everything:
            self._complete = rows
        return rows, covered
