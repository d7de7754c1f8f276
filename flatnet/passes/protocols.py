"""Whom the reconciler works with, as far as it needs them."""

from collections.abc import Iterable
from typing import Protocol

from flatnet.plan.kept_rows import Kept
from flatnet.plan.planned import Planned
from flatnet.state.changes import Changes
from flatnet.state.parts import Parts
from flatnet.state.plan import Uplink
from flatnet.state.scope import Scope
from flatnet.state.taken_addresses import Taken


class HostRows(Protocol):
    """What the reconciler needs of the rows of its host."""

    def read(self, scope: Scope, before: Kept) -> Kept:
        """What the database says about this host, as far as asked."""

    def record(self, rows: Kept, changes: Changes) -> tuple[Kept, Scope]:
        """Write what a pass found; return the rows, and what is to do."""

    def swap(self, taken: tuple[Taken, ...]) -> bool:
        """Take other addresses for bridges; return whether there are any."""

    def tell(self, state: str, reason: str | None) -> None:
        """Write what the last pass was: ready, degraded or failed."""


class AppliesPlans(Protocol):
    """What the reconciler needs of the applier."""

    def uplinks(self, names: tuple[str, ...]) -> tuple[Uplink, ...]:
        """What the kernel says of the devices that exist."""

    def apply(
        self,
        parts: Parts,
        *,
        renewed: Iterable[str],
        looked_at: Iterable[str] | None,
    ) -> Changes:
        """Make this host look like its parts; look at some guests, or all."""


class MakesPlans(Protocol):
    """What the reconciler needs of the planner."""

    def uplink_names(self, rows: Kept) -> tuple[str, ...]:
        """The devices that the plan depends on."""

    def plan(
        self, rows: Kept, uplinks: dict[str, Uplink], before: Planned | None
    ) -> Planned:
        """What a host with these rows should look like."""
