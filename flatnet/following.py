"""Hosts that are to follow what was written, each asked for many at once.

Whoever is asked takes the rows of an instance away, and ports go on the hosts
that had them; or it gives rows, and another host that is its network's one
server is to know it.  While one of them is asked, the instances of other
callers gather.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from flatnet.db.batch import Batch
from flatnet.db.fold import Fold
from flatnet.exceptions import (
    BrokerUnavailable,
    CallNotSupported,
    FlatnetError,
)
from flatnet.rpc.client import NetworkAPI

# Why a host has not followed, or none.
Reason = str | None


class Followers:
    """All other hosts.

    :param peer: returns the client by which a host is reached, or raises why
        it is not to be
    :param here: this host, which is not asked
    :param ask: has a host follow instances; returns why it has not, by uuid
    """

    def __init__(
        self,
        peer: Callable[[str], NetworkAPI],
        here: str,
        ask: Callable[[NetworkAPI, str, Sequence[str]], Mapping[str, Reason]],
    ) -> None:
        self._peer = peer
        self._here = here
        self._reasons = ask
        self._lock = threading.Lock()
        self._asked: dict[str, Fold[str, Reason]] = {}

    def behind(
        self, instance_uuid: str, hosts: Iterable[str]
    ) -> dict[str, str]:
        """Have hosts follow; return those that have not, and why."""
        reasons = {
            host: self._ask(host, instance_uuid)
            for host in hosts
            if host != self._here
        }
        return {host: reason for host, reason in reasons.items() if reason}

    def _ask(self, host: str, instance_uuid: str) -> Reason:
        with self._lock:
            asked = self._asked.setdefault(
                host,
                Fold(partial(self._follow, host), late=partial(_late, host)),
            )
        try:
            return asked.ask(instance_uuid)
        except FlatnetError as error:
            return str(error)

    def _follow(self, host: str, batch: Batch[str]) -> Sequence[Reason]:
        try:
            peer = self._peer(host)
            # Who shared a transaction comes at the same moment.
            batch.join(lambda _: True)
            reasons = self._reasons(peer, host, batch.items)
        except FlatnetError as error:
            # It is none of one instance: nobody need ask again for himself.
            return [str(error)] * len(batch.items)
        return [reasons.get(each) for each in batch.items]


def _late(host: str) -> BrokerUnavailable:
    return BrokerUnavailable(
        f"host {host} was not asked in time: it follows others"
    )


def served(
    peer: NetworkAPI, host: str, instances: Sequence[str]
) -> Mapping[str, Reason]:
    """Have a host serve instances of others as their rows are now."""
    return peer.serve_instances({}, host=host, instance_ids=list(instances))


def deallocated(
    peer: NetworkAPI, host: str, instances: Sequence[str]
) -> Mapping[str, Reason]:
    """Have a host be rid of instances whose rows are gone."""
    try:
        return peer.follow_deallocations(
            {}, host=host, instance_ids=list(instances)
        )
    except CallNotSupported:
        # A daemon of before, in the midst of an upgrade.
        return {each: _rid_of(peer, host, each) for each in instances}


def _rid_of(peer: NetworkAPI, host: str, instance_uuid: str) -> Reason:
    try:
        peer.setup_networks_on_host(
            {}, instance_id=instance_uuid, host=host, teardown=True
        )
    except FlatnetError as error:
        return str(error)
    return None
