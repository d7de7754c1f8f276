"""The rows of one host, as its reconciler reads and writes them."""

from flatnet.db import allocation, findings, services, snapshot
from flatnet.db.engine import Database
from flatnet.plan import findings as found
from flatnet.rows import Snapshot
from flatnet.state import Changes

BINARY = "flatnet-manager"


class DatabaseRows:
    """What the database holds of a host; remembers what it was told."""

    def __init__(self, database: Database, host: str, *, holder: str) -> None:
        """`holder` is who has the name `host`: see `hostname`."""
        self._database = database
        self._host = host
        self._holder = holder
        self._told: tuple[str, str | None] | None = None

    def read(self) -> Snapshot:
        """Return the rows, with nothing left of deleted instances."""
        rows = snapshot.read(self._database, self._host)
        if not rows.departed:
            return rows
        allocation.deallocate_departed(self._database, host=self._host)
        return snapshot.read(self._database, self._host)

    def record(self, rows: Snapshot, changes: Changes) -> bool:
        """Write what a pass found of its ports, where that is new."""
        new = found.findings(rows, changes.ports)
        if not new:
            return False
        return findings.record(self._database, host=self._host, findings=new)

    def tell(self, state: str, reason: str | None) -> None:
        """Write what this host is, where that is new."""
        if (state, reason) == self._told:
            return
        services.tell(
            self._database,
            host=self._host,
            binary=BINARY,
            holder=self._holder,
            state=state,
            reason=reason,
        )
        self._told = state, reason
