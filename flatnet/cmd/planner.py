"""How the rows of this host become what it should look like."""

from collections.abc import Callable
from dataclasses import dataclass

from flatnet.config.settings import Settings
from flatnet.plan.bridge import uplink_name
from flatnet.plan.kept_rows import Kept
from flatnet.plan.planned import Planned, planned
from flatnet.state.plan import Uplink
from flatnet.state.taken_addresses import InUse


@dataclass(frozen=True)
class HostPlanner:
    """Plans by the options of a daemon, and by what its host needs now."""

    settings: Settings
    in_use: Callable[[], tuple[InUse, ...]] = tuple

    def uplink_names(self, rows: Kept) -> tuple[str, ...]:
        """Return the names of all devices that a bridge is to enslave."""
        names = {
            uplink_name(network, self.settings)
            for network in rows.networks.values()
        }
        return tuple(sorted(filter(None, names)))

    def plan(
        self,
        rows: Kept,
        uplinks: dict[str, Uplink],
        before: Planned | None,
    ) -> Planned:
        """Return what a host with these rows should look like.

        :param uplinks: what the kernel says of the devices that exist
        :param before: the plan of before, whose parts are made again only
            where their rows differ
        """
        in_use = self.in_use()
        if before and before.rows is rows and before.is_of(uplinks, in_use):
            return before
        return planned(
            rows, self.settings, uplinks, before=before, in_use=in_use
        )
