"""Whose tracked connections are still to be judged, by address.

What a pass could not cut stands under the address that it leads to until that
is done, whatever other passes are about.  Where nobody can tell whose it is,
as after a worker that died between the rules and this, it is everybody's.
"""

from dataclasses import dataclass

from flatnet.apply.filter.iptables.revoked_access import filtered_addresses
from flatnet.state.changes import Changes
from flatnet.state.filtering import Filter


@dataclass(frozen=True)
class Owed:
    """The addresses, or `everything`: all that are filtered by then."""

    addresses: frozenset[str] = frozenset()
    everything: bool = False

    def __or__(self, other: "Owed") -> "Owed":
        return Owed(
            self.addresses | other.addresses,
            self.everything or other.everything,
        )

    def among(self, wanted: Filter) -> frozenset[str]:
        """Return the addresses of a plan that are owed something.

        One that is not filtered any more is owed nothing; who gets it later
        has its connections judged as he comes.
        """
        if not self.everything and not self.addresses:
            return frozenset()
        filtered = filtered_addresses(wanted)
        return filtered if self.everything else filtered & self.addresses


NOTHING = Owed()
EVERYTHING = Owed(everything=True)


def after(changes: Changes, wanted: Filter) -> Owed:
    """Return what changes to rules make doubtful.

    That is of whom less may reach now, and of whoever suffers from what
    failed, for such a step may have changed rules before.
    """
    if any(each.is_of_host for each in changes.failures):
        return EVERYTHING
    suffering = {u for each in changes.failures for u in each.instances}
    if not suffering:
        return Owed(changes.judged)
    return Owed(
        changes.judged.union(
            address
            for guest in wanted.guests
            if guest.instance_uuid in suffering
            for address in guest.addresses
        )
    )
