"""The rows of one host, as its reconciler reads and writes them."""

import logging

from flatnet.cmd.serverroles import ServerRoles
from flatnet.db import (
    deallocation,
    findings,
    host_addresses,
    scoped,
    services,
    snapshot,
)
from flatnet.db.engine import Database
from flatnet.db.row_cache import RowCache
from flatnet.exceptions import Conflict, NotFound
from flatnet.plan import findings as found
from flatnet.plan.former_holders import former_holders
from flatnet.plan.kept_rows import Kept, kept, rebound
from flatnet.state.changes import Changes, FoundPort
from flatnet.state.rows import Snapshot
from flatnet.state.scope import EVERYTHING, NOTHING, Covered, Scope
from flatnet.state.shared_networks import serves_all
from flatnet.state.taken_addresses import Taken

LOG = logging.getLogger(__name__)
BINARY = "flatnet-manager"


def _is_floating(rows: Kept, key: str) -> bool:
    """Whether floating addresses lead to an interface."""
    return key in rows.interfaces and bool(rows.interfaces[key].floating)


class DatabaseRows:
    """What the database holds of a host; remembers what it was told."""

    def __init__(
        self,
        database: Database,
        host: str,
        *,
        holder: str,
        quarantine: int = 0,
        roles: ServerRoles | None = None,
    ) -> None:
        """`holder` is who has the name `host`: see `hostname`.

        `quarantine` are the seconds before a released address is given out,
        `roles` takes networks to serve for all hosts, none for no DHCP.
        """
        self._database = database
        self._quarantine = quarantine
        self._host = host
        self._holder = holder
        self._roles = roles
        self._told: tuple[str, str | None] | None = None
        self._last = RowCache()
        # The last snapshot of all, and what it came to.
        self._whole = Snapshot(host), Kept()
        # Rows, and what a pass found that was nothing new to them.
        self._alike: tuple[Kept, tuple[FoundPort, ...]] = Kept(), ()

    def read(self, scope: Scope, before: Kept) -> Kept:
        """Return the rows, with nothing left of deleted instances.

        :param scope: whose rows may differ from `before`
        """
        found, covered = self._settled(scope, before)
        while others := former_holders(found, covered):
            # Else an address that was given out again would be two guests',
            # one of whom has it no more.
            scope |= Scope(instances=covered.instances | others)
            found, covered = self._settled(scope, before)
        return found

    def record(self, rows: Kept, changes: Changes) -> tuple[Kept, Scope]:
        """Write what a pass found of its ports, where that is new.

        Return the rows as they are now, and what there is more to do about.
        """
        known = self._alike
        if rows is known[0] and changes.ports is known[1]:
            return rows, NOTHING
        new = found.findings(rows, self._host, changes.ports)
        if not new:
            self._alike = rows, changes.ports
            return rows, NOTHING
        recorded = findings.record(
            self._database, host=self._host, findings=new, known=rows.bindings
        )
        uuids = [each.interface_uuid for each in new]
        rows = rebound(rows, recorded.bindings, uuids)
        # Where a guest was found, its floating addresses are.
        more = {
            each.instance_uuid
            for each in new
            if recorded.uncovered or _is_floating(rows, each.interface_uuid)
        }
        return rows, Scope(instances=frozenset(more)) if more else NOTHING

    def _settled(self, scope: Scope, before: Kept) -> tuple[Kept, Covered]:
        rows, covered = self._read(scope, before)
        if rows.departed:
            deallocation.deallocate_departed(self._database, host=self._host)
            rows, covered = self._read(scope, before)
        # Once to have a role, and once to say by which MAC.
        for _ in range(2):
            if self._roles is None or not self._roles.take(rows):
                break
            rows, covered = self._read(scope, before)
        if not covered.everything:
            if self._serves_others(rows, before):
                return self._settled(EVERYTHING, before)
            return kept(before, rows, covered), covered
        if rows is not self._whole[0]:
            self._whole = rows, kept(before, rows, covered)
        return self._whole[1], covered

    def _serves_others(self, rows: Snapshot, before: Kept) -> bool:
        """Whether this host has become a network's server, or ceased to be.

        Then it is about all guests of that network.
        """
        return any(
            serves_all(each, self._host)
            != (
                each.id in before.networks
                and serves_all(before.networks[each.id], self._host)
            )
            for each in rows.networks
        )

    def _read(self, scope: Scope, before: Kept) -> tuple[Snapshot, Covered]:
        if scope.everything:
            rows = snapshot.read(self._database, self._host, self._last)
            return rows, Covered(everything=True)
        return scoped.read(
            self._database, self._host, scope, before.known(scope)
        )

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
