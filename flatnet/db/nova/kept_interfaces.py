"""Which of nova's interfaces are kept, with their MACs and uuids."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from flatnet.db import checks
from flatnet.db.models import AnyRow
from flatnet.db.nova.import_draft import Draft
from flatnet.db.nova.kept_networks import Kept
from flatnet.db.nova.source import Nova
from flatnet.exceptions import Conflict, FlatnetError, InstanceNotFound

TABLE = "virtual_interfaces"


@dataclass(frozen=True)
class KeptInterface:
    """An interface that is kept; its `id` is flatnet's, none where new."""

    id: int | None
    uuid: str
    mac: str
    network: Kept
    instance_uuid: str


def judge(
    nova: Nova,
    networks: Mapping[int, Kept],
    living: Collection[str],
    present: Sequence[AnyRow],
    draft: Draft,
) -> dict[int, KeptInterface]:
    """Return the interfaces that can be kept, by nova's ids.

    :param living: the instances that flatnet's database holds
    :param present: flatnet's own interfaces
    """
    found: dict[int, KeptInterface] = {}
    by_uuid = {row.uuid: row for row in present}
    macs = {row.address: row.uuid for row in present}
    for row in nova[TABLE]:
        owner = nova.owner(row)
        try:
            check_living(owner, living)
            network = networks.get(row.network_id)
            if network is None:
                raise Conflict("its network is not kept")
            uuid, mac = checks.uuid(row.uuid), checks.mac(row.address)
            known = by_uuid.get(uuid)
            _check_same(known, mac, network, str(owner))
            if macs.setdefault(mac, uuid) != uuid:
                raise Conflict(f"interface {macs[mac]} has that MAC already")
        except FlatnetError as error:
            draft.report.refuse(TABLE, _name(row, owner), error)
            continue
        known_id = known.id if known is not None else None
        found[row.id] = KeptInterface(known_id, uuid, mac, network, str(owner))
    return found


def settle(
    nova: Nova,
    candidates: Mapping[int, KeptInterface],
    without: Collection[int],
    draft: Draft,
) -> None:
    """Write those that can be kept, but for new ones without an address.

    :param without: nova's ids of those that lose all their addresses
    """
    for row in nova[TABLE]:
        kept = candidates.get(row.id)
        if kept is None:
            continue
        if kept.id is None and row.id in without:
            draft.report.refuse(
                TABLE, _name(row, kept.instance_uuid), "no address is kept"
            )
            continue
        draft.report.keep(TABLE, is_new=kept.id is None)
        if kept.id is None:
            values = {
                "uuid": kept.uuid,
                "address": kept.mac,
                "instance_uuid": kept.instance_uuid,
            }
            draft.interfaces.append((kept.network.uuid, values))


def check_living(owner: str | None, living: Collection[str]) -> None:
    """Check that an instance is one that flatnet knows.

    :raises InstanceNotFound: it is not
    """
    if owner not in living:
        raise InstanceNotFound(
            "flatnet's table instances holds no such living instance: have "
            "the compute service write its row first"
            if owner
            else "it is of no instance"
        )


def _check_same(
    known: AnyRow | None, mac: str, network: Kept, owner: str
) -> None:
    """Check that flatnet has an interface as nova does, if at all."""
    if known is None:
        return
    mine = known.address, known.network_id, known.instance_uuid
    if mine != (mac, network.id, owner):
        raise Conflict(
            f"flatnet has it with MAC {known.address} of instance "
            f"{known.instance_uuid} by now"
        )


def _name(row: AnyRow, owner: str | None) -> str:
    return f"interface {row.uuid} ({row.address}) of instance {owner}"
