"""The rows of one host, as its reconciler reads and writes them."""

import logging

from flatnet.db import (
    allocation,
    findings,
    host_addresses,
    services,
    snapshot,
)
from flatnet.db.engine import Database
from flatnet.exceptions import Conflict, NotFound
from flatnet.plan import findings as found
from flatnet.rows import Snapshot
from flatnet.state import Changes
from flatnet.taken import Taken

LOG = logging.getLogger(__name__)
BINARY = "flatnet-manager"


class DatabaseRows:
    """What the database holds of a host; remembers what it was told."""

    def __init__(
        self,
        database: Database,
        host: str,
        *,
        holder: str,
        quarantine: int = 0,
    ) -> None:
        """`holder` is who has the name `host`: see `hostname`.

        `quarantine` are the seconds before a released address is given out.
        """
        self._database = database
        self._quarantine = quarantine
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

    def swap(self, taken: tuple[Taken, ...]) -> bool:
        """Set aside bridges' addresses that are somebody's, and take others.

        Return whether any was; not where machines on the segment have
        answered for too many.
        """
        swapped = False
        for each in taken:
            failure = None
            try:
                new = host_addresses.swap(
                    self._database,
                    taken=each,
                    host=self._host,
                    quarantine=self._quarantine,
                )
            except (Conflict, NotFound) as error:
                # That one network's pool is empty is no other's trouble.
                failure, new = error, None
            if failure is not None:
                LOG.warning("%s is kept for now: %s", each.address, failure)
            if new:
                swapped = True
                LOG.warning(
                    "address %s of network %s is set aside (%s); the bridge "
                    "takes %s",
                    *(each.address, each.network_uuid, each.reason, new),
                )
        return swapped

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
