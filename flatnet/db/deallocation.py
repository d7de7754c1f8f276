"""Interfaces and addresses of instances, taken back.

Every function is one transaction that holds the rows of the networks in which
these have something; asked twice, each answers the same.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, select, union
from sqlalchemy import delete as delete_from

from flatnet.db import (
    bindings,
    engine,
    instances,
    interfaces,
    ipv6_rows,
    models,
    networks,
    releases,
    tombstones,
)
from flatnet.db.batch import Batch
from flatnet.db.networks import LockedNetworks
from flatnet.db.orders import Bereft, Concerned, Farewell
from flatnet.exceptions import InstanceNotFound

FIXED_IPS = models.fixed_ips
VIFS = models.virtual_interfaces
Meant = dict[Farewell, str | InstanceNotFound]


_MINE: BindParameter[Any] = bindparam("instances", expanding=True)
# The networks in which instances have something.
_USED = union(
    *(
        select(table.c.instance_uuid, table.c.network_id).where(
            table.c.instance_uuid.in_(_MINE)
        )
        for table in (VIFS, FIXED_IPS)
    )
)
_REMOVED = delete_from(VIFS).where(VIFS.c.instance_uuid.in_(_MINE))


@dataclass
class _Locked:
    """Networks that are locked: their ids, and what is known of them.

    `used` are those in which instances have something, by uuid.
    """

    ids: frozenset[int] = frozenset()
    networks: LockedNetworks = field(default_factory=LockedNetworks)
    used: dict[str, set[int]] = field(default_factory=dict)

    def servers_of(self, uuid: str) -> set[str]:
        """The hosts that serve an instance, wherever it is."""
        used = self.used.get(uuid, ())
        servers = self.networks.servers
        return {servers[each] for each in used if each in servers}


@engine.writes
def deallocate(
    connection: Connection, *, instance_uuid: str, hint: str | None = None
) -> tuple[str, ...]:
    """Take back all interfaces and addresses of an instance.

    It needs no row in `instances`, and no interface either.  Returns the
    hosts that are to follow.

    :param hint: the host that it ran on, where no row says it
    """
    return _deallocate(connection, {instance_uuid: hint})[instance_uuid]


@engine.writes
def deallocate_all(
    connection: Connection, batch: Batch[Farewell]
) -> tuple[tuple[Bereft | InstanceNotFound, ...], Concerned]:
    """Do the same for many: return what each does, and who was concerned.

    Or the error of who names nothing that can be an instance.
    """
    meant = _meant(connection, batch.items)
    locked = _locked(connection, _uuids(meant))
    meant |= _joined(connection, batch, locked)
    hints: dict[str, str | None] = {}
    for each in batch.items:
        uuid = meant[each]
        if isinstance(uuid, str):
            hints[uuid] = hints.get(uuid) or each.hint
    hosts = _taken_back(connection, hints, locked) if hints else {}
    answers = (meant[each] for each in batch.items)
    return (
        tuple(
            Bereft(uuid, hosts[uuid]) if isinstance(uuid, str) else uuid
            for uuid in answers
        ),
        interfaces.members(connection, hints),
    )


@engine.writes
def deallocate_departed(connection: Connection, *, host: str) -> None:
    """Take back what deleted instances have that were bound to a host."""
    _deallocate(
        connection, dict.fromkeys(bindings.departed(connection, host), host)
    )


def _deallocate(
    connection: Connection, hints: Mapping[str, str | None]
) -> dict[str, tuple[str, ...]]:
    """Take back what instances have; return who is to follow, by uuid."""
    if not hints:
        return {}
    return _taken_back(connection, hints, _locked(connection, hints))


def _taken_back(
    connection: Connection,
    hints: Mapping[str, str | None],
    locked: _Locked,
) -> dict[str, tuple[str, ...]]:
    """Do the same of instances that have something in locked networks."""
    if locked.ids:
        releases.lead_nowhere(connection, hints)
        if locked.networks.have_ipv6:
            ipv6_rows.release_all(connection, hints)
        releases.release_all(connection, hints)
    hosts = tombstones.release(connection, hints)
    connection.execute(_REMOVED, {"instances": sorted(hints)})
    return {
        uuid: tuple(sorted(locked.servers_of(uuid).union(found)))
        for uuid, found in hosts.items()
    }


def _joined(
    connection: Connection, batch: Batch[Farewell], locked: _Locked
) -> Meant:
    """Have those join who need no other lock; return what they mean."""
    others = batch.waiting() if locked.ids else ()
    if not others:
        return {}
    meant = _meant(connection, others)
    used = _used(connection, _uuids(meant))
    fit: Meant = {
        each: uuid
        for each, uuid in meant.items()
        if isinstance(uuid, str) and used[uuid] <= locked.ids
    }
    locked.used.update(used)
    batch.join(lambda each: each in fit)
    return fit


def _meant(connection: Connection, farewells: Sequence[Farewell]) -> Meant:
    references = [each.reference for each in farewells]
    meant = instances.uuids_meant(connection, references)
    return dict(zip(farewells, meant, strict=True))


def _uuids(meant: Meant) -> list[str]:
    return [each for each in meant.values() if isinstance(each, str)]


def _locked(connection: Connection, uuids: Iterable[str]) -> _Locked:
    """Lock the networks in which instances have something."""
    used = _used(connection, uuids)
    ids = frozenset[int]().union(*used.values())
    if not ids:
        return _Locked()
    return _Locked(ids, networks.lock(connection, ids), dict(used))


def _used(
    connection: Connection, uuids: Iterable[str]
) -> defaultdict[str, set[int]]:
    """The ids of the networks in which instances have something, by uuid."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for row in connection.execute(_USED, {"instances": sorted({*uuids})}):
        found[row.instance_uuid].add(row.network_id)
    return found
