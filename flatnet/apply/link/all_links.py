"""All that is on this host's links by a plan, in the order that is safe."""

from typing import Protocol

from flatnet.apply.link.bridge import apply_bridges
from flatnet.apply.link.device_reads import Reads
from flatnet.apply.link.metadata_address import apply_metadata_address
from flatnet.apply.link.rates import Rates
from flatnet.apply.link.unchanged_ports import UnchangedPorts
from flatnet.state.changes import Changes, joined
from flatnet.state.plan import Plan


class Known(Protocol):
    """What one process remembers of links."""

    @property
    def unchanged(self) -> UnchangedPorts:
        """The ports that need nothing."""

    @property
    def rates(self) -> Rates:
        """What keeps the rates of ports."""


def apply_links(
    plan: Plan,
    devices: Reads,
    known: Known,
    *,
    shut: frozenset[str],
    ports: frozenset[str] | None,
) -> Changes:
    """Bring bridges, ports, their rates and other addresses to the plan.

    :param shut, ports: as for `apply_bridges`
    """
    return joined(
        apply_bridges(
            plan, devices, shut=shut, unchanged=known.unchanged, ports=ports
        ),
        known.rates.mend(plan, devices, ports),
        apply_metadata_address(plan, devices),
    )
