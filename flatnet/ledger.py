"""The rows of instances, written for all callers that wait at once.

What callers ask for is looked up, given and taken back here; what follows
from it on hosts is the manager's affair.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from flatnet.db import allocation, deallocation, instances, networks
from flatnet.db.batch import Batch
from flatnet.db.engine import Database
from flatnet.db.fold import Fold
from flatnet.db.orders import (
    Bereft,
    Concerned,
    Farewell,
    Order,
    Placing,
    Served,
)
from flatnet.exceptions import FlatnetError, InstanceNotFound
from flatnet.state.rows import Instance

Answer = TypeVar("Answer", Served, Bereft)
Told = TypeVar("Told")


@dataclass(frozen=True)
class _Written:
    """What one call has of a transaction: its own, and what all are told."""

    served: Served
    members: Concerned


@dataclass(frozen=True)
class _Taken:
    """What one call has come to, and what all are told."""

    bereft: Bereft
    members: Concerned


class Ledger:
    """Calls about instances, each kind folded.

    :param placement: how this host gives things out now
    :param tell: told once a transaction, after it, which members of groups
        it was about, for other hosts
    :param heed: told the same of those who left, for this host
    """

    def __init__(
        self,
        database: Database,
        *,
        placement: Callable[[], Placing],
        tell: Callable[[Concerned], None],
        heed: Callable[[Concerned], None],
    ) -> None:
        self._database = database
        self._placement = placement
        self._tell = tell
        self._heed = heed
        self._living = Fold(self._all_living)
        self._allocations = Fold(self._allocate_all)
        self._deallocations = Fold(self._deallocate_all)

    def living(self, reference: str) -> Instance:
        """Return a living instance by its uuid or integer id.

        :raises InstanceNotFound: no living instance is meant
        """
        return self._living.ask(reference)

    def uuid_of(self, reference: str) -> str:
        """Return the uuid of an instance, dead or alive.

        :raises InstanceNotFound: no instance can be meant
        """
        return instances.uuid_of(self._database, reference)

    def allocate(self, order: Order) -> Served:
        """Give an instance what was ordered; errors as `db.allocation`."""
        written = self._allocations.ask(order)
        self._tell(written.members)
        return written.served

    def add(self, instance_uuid: str, network: str) -> Served:
        """Give an instance one more address; errors as `db.allocation`.

        :param network: its uuid, or its integer id as text
        """
        served, members = allocation.add_address(
            self._database,
            instance_uuid=instance_uuid,
            network_uuid=networks.meant(self._database, network),
            placement=self._placement(),
        )
        self._tell(members)
        return served

    def remove(self, instance_uuid: str, address: str) -> None:
        """Take one address back; errors as `db.allocation`."""
        members = allocation.remove_address(
            self._database, instance_uuid=instance_uuid, address=address
        )
        self._tell(members)
        self._heed(members)

    def deallocate(self, farewell: Farewell) -> Bereft:
        """Take back all that an instance has; return who is to follow.

        :raises InstanceNotFound: no instance can be meant
        """
        taken = self._deallocations.ask(farewell)
        self._tell(taken.members)
        self._heed(taken.members)
        return taken.bereft

    def _all_living(
        self, references: Batch[str]
    ) -> tuple[Instance | InstanceNotFound, ...]:
        return instances.all_meant(self._database, references.items)

    def _allocate_all(
        self, orders: Batch[Order]
    ) -> list[_Written | FlatnetError]:
        answers, members = allocation.allocate_all(
            self._database, orders, self._placement()
        )
        return _told(answers, members, _Written)

    def _deallocate_all(
        self, farewells: Batch[Farewell]
    ) -> list[_Taken | FlatnetError]:
        answers, members = deallocation.deallocate_all(
            self._database, farewells
        )
        return _told(answers, members, _Taken)


def _told(
    answers: Sequence[Answer | FlatnetError],
    members: Concerned,
    of: Callable[[Answer, Concerned], Told],
) -> list[Told | FlatnetError]:
    """Return answers with what all are told: the first who has one tells."""
    told: list[Told | FlatnetError] = []
    for answer in answers:
        if isinstance(answer, FlatnetError):
            told.append(answer)
            continue
        told.append(of(answer, members))
        members = Concerned()
    return told
