"""What guests and names are made of: the rows of a host, and its networks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flatnet.plan.kept_rows import Kept
from flatnet.plan.network import PlannedNetwork


@dataclass(frozen=True)
class Ground:
    """The rows of a host, and its networks by id."""

    rows: Kept = field(default_factory=Kept)
    networks: Mapping[int, PlannedNetwork] = field(default_factory=dict)

    def serves(self, network: int) -> bool:
        """Whether a DHCP server here is for a network, by its id."""
        found = self.networks.get(network)
        return found is not None and found.part.server is not None

    def routes(self, network: int) -> bool:
        """Whether this host is the gateway of a network, by its id."""
        found = self.networks.get(network)
        return found is not None and found.part.gateway is not None

    def has(self, network: int, instance: str) -> bool:
        """Whether an instance has an interface of a network here.

        Or one that this host serves from afar.
        """
        mine = (instance,)
        found = (*self.rows.interfaces_of(mine), *self.rows.served_of(mine))
        return any(each.network_id == network for each in found)
