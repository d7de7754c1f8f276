"""One network's pool in a transaction: which address, and whose it becomes.

Addresses that were never used come first, ascending; then those that were
released, the longest ago first, and none before its quarantine is over:
caches and leases of the former owner may still be about.

A pool is a value: who takes an address has another pool.  So many can choose
one after the other before anything is written, and who fails has taken
nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from flatnet.db import checks, ranges
from flatnet.db.models import AnyRow
from flatnet.exceptions import (
    FixedIpAlreadyInUse,
    FixedIpNotFoundForNetwork,
    NoMoreFixedIps,
)
from flatnet.state.rows import LONGEST_REASON
from flatnet.state.taken_addresses import InUse


@dataclass(frozen=True)
class Owner:
    """Whose an address becomes: an instance's, a bridge's, or nobody's.

    The instance's by its interface, of which it is the address of that
    `ordinal`; nobody's where it is reserved.
    """

    instance_uuid: str | None = None
    interface_uuid: str | None = None
    host: str | None = None
    reserved: bool = False
    reason: str | None = None
    ordinal: int = 0


@dataclass(frozen=True)
class Pool:
    """What a transaction knows of a locked network's addresses.

    `rows` are those that it asked for by position; a position without one
    was never used.  `fresh` and `released` are the next that can be had,
    in order, `bridge` is the address of the host's bridge, `given` what was
    taken since.
    """

    network: AnyRow
    quarantine: int = 0
    rows: Mapping[int, AnyRow] = field(default_factory=dict)
    fresh: tuple[int, ...] = ()
    released: tuple[int, ...] = ()
    bridge: str | None = None
    given: Mapping[int, Owner] = field(default_factory=dict)

    def take_next(self, owner: Owner) -> tuple["Pool", str]:
        """Return the pool without its next address, and that.

        :raises NoMoreFixedIps: there is none
        """
        for position in (*self.fresh, *self.released):
            if position not in self.given:
                address = ranges.address_at(self.network.cidr, position)
                return self._without(position, owner), address
        whose = f" for the bridge of host {owner.host}" if owner.host else ""
        raise NoMoreFixedIps(
            f"network {self.network.label} ({self.network.cidr}) has no "
            f"address left{whose}; released ones are given out again after "
            f"{self.quarantine} s"
        )

    def take(self, address: str, owner: Owner) -> "Pool":
        """Return the pool without the address that was asked for by name.

        Quarantine does not apply: who names an address wants this one.

        :raises FixedIpInvalid: it is no address
        :raises FixedIpNotFoundForNetwork: it is outside the network
        :raises FixedIpAlreadyInUse: it is not to be given out, or taken
        """
        return self._without(self.position_of_free(address), owner)

    def position_of_free(self, address: str) -> int:
        """Return the position of an address that can be had by name.

        :raises FixedIpInvalid: and the others, as `take`
        """
        network = self.network
        position = ranges.position(network.cidr, str(checks.address(address)))
        if not 0 <= position < ranges.size(network.cidr):
            raise FixedIpNotFoundForNetwork(
                f"{address} is outside {network.cidr} of network "
                f"{network.label}"
            )
        if not network.pool_first <= position <= network.pool_last:
            raise self._in_use(address, "is not among those given out")
        if why := self._whose(position):
            raise self._in_use(address, why)
        return position

    def with_bridge(self, host: str) -> "Pool":
        """Return the pool with an address for a host's bridge, if it has one.

        :raises NoMoreFixedIps: there is none
        """
        network = self.network
        if self.bridge or not (network.multi_host and network.enable_dhcp):
            return self
        without, address = self.take_next(Owner(host=host))
        return replace(without, bridge=address)

    def without(self, in_use: Iterable[InUse], host: str) -> "Pool":
        """Return the pool without what a host depends on.

        Whoever has it keeps it.
        """
        found = self
        for each in in_use:
            position = ranges.position(self.network.cidr, each.address)
            inside = 0 <= position < ranges.size(self.network.cidr)
            if inside and not found._whose(position):
                reason = f"{each.what} of host {host}"[:LONGEST_REASON]
                found = found._without(
                    position, Owner(reserved=True, reason=reason)
                )
        return found

    def _without(self, position: int, owner: Owner) -> "Pool":
        return replace(self, given={**self.given, position: owner})

    def _whose(self, position: int) -> str | None:
        """Why an address is not to be had, none if it is."""
        has = self.given.get(position) or self.rows.get(position)
        if has is None:
            return None
        if has.reserved:
            return "is reserved" + (f": {has.reason}" if has.reason else "")
        if has.host is not None:
            return f"is the bridge's on {has.host}"
        if has.instance_uuid is not None:
            return f"is {has.instance_uuid}'s"
        return None

    def _in_use(self, address: str, reason: str) -> FixedIpAlreadyInUse:
        return FixedIpAlreadyInUse(
            f"address {address} of network {self.network.label} {reason}"
        )
