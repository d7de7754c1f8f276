"""Which of nova's floating addresses are kept, and where they lead."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from typing import Any

from flatnet.db import checks, columns
from flatnet.db.models import AnyRow
from flatnet.db.nova.import_draft import Draft, Place
from flatnet.db.nova.source import Nova
from flatnet.exceptions import CidrConflict, Conflict, FlatnetError

TABLE = "floating_ips"
# What nova calls the pool of those that name none.
_POOL = "nova"
# What must be alike where flatnet has changed a row since.
_COMPARED = ("pool", "project_id", "interface", "auto_assigned")


def judge(
    nova: Nova,
    places: Mapping[int, Place | None],
    ranges: Mapping[str, str],
    present: Sequence[AnyRow],
    fixed: Mapping[Place, AnyRow],
    draft: Draft,
) -> None:
    """Write the floating addresses whose fixed ones are kept, or have none.

    :param places: where nova's fixed addresses are kept, by nova's ids
    :param ranges: the labels of networks by their ranges
    :param present: flatnet's floating addresses, and `fixed` its fixed ones
    """
    known = {row.address: row for row in present}
    ids = {place: row.id for place, row in fixed.items()}
    seen: set[str] = set()
    for row in nova[TABLE]:
        try:
            values = _values(row)
            _check_apart(values["address"], ranges)
            # To where no instance is it leads no more.
            place = places.get(row.fixed_ip_id)
            if row.fixed_ip_id not in (None, *places):
                raise Conflict("its fixed address is not kept, or not there")
            if values["address"] in seen:
                raise Conflict("nova has it twice")
            mine = known.get(values["address"])
            is_same = mine is not None and _is_same(mine, values, place, ids)
            if mine is not None and not is_same:
                _check_untouched(mine)
        except FlatnetError as error:
            name = f"floating address {row.address}"
            draft.report.refuse(TABLE, name, error)
            continue
        seen.add(values["address"])
        draft.report.keep(TABLE, is_new=not is_same)
        if not is_same:
            row_id = mine.id if mine is not None else None
            draft.floating.append((row_id, place, values))


def _values(row: AnyRow) -> dict[str, Any]:
    address = checks.address(row.address)
    interface = row.interface or None
    return {
        "address": str(address),
        "position": int(IPv4Address(address)),
        "project_id": row.project_id or None,
        "host": row.host if row.fixed_ip_id is not None else None,
        "auto_assigned": bool(row.auto_assigned),
        "pool": checks.name(row.pool or _POOL, "pool"),
        "interface": interface and checks.device_name(interface),
    }


def _check_apart(address: str, ranges: Mapping[str, str]) -> None:
    """Check that a floating address is in no network of guests."""
    for cidr, label in ranges.items():
        if columns.overlap(address, cidr):
            raise CidrConflict(f"it is in {cidr} of network {label}")


def _is_same(
    mine: AnyRow,
    values: Mapping[str, Any],
    place: Place | None,
    ids: Mapping[Place, int],
) -> bool:
    """Whether flatnet has a floating address as nova does."""
    leads = ids.get(place) if place else None
    return mine.fixed_ip_id == leads and all(
        getattr(mine, each) == values[each] for each in _COMPARED
    )


def _check_untouched(mine: AnyRow) -> None:
    """Check that flatnet has only what an import before this has written."""
    if mine.updated_at != mine.created_at:
        raise Conflict(
            f"flatnet has it otherwise by now: pool {mine.pool}, project "
            f"{mine.project_id}"
        )
