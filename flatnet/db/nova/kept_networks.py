"""Which of nova's networks are kept, and what of them is given out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network
from typing import Any

from flatnet.db import checks, columns, ranges
from flatnet.db.models import AnyRow
from flatnet.db.nova.import_draft import Draft
from flatnet.db.nova.source import Nova
from flatnet.exceptions import (
    CidrConflict,
    Conflict,
    FlatnetError,
    InvalidInput,
)

TABLE = "networks"
# What flatnet has of a network that it was given before.
_FIXED = ("cidr", "bridge", "multi_host")
_COMPARED = (
    *("uuid", "label", "cidr", "cidr_v6"),
    *("bridge", "bridge_interface"),
)


@dataclass(frozen=True)
class Kept:
    """A network that is kept.

    :param id: flatnet's, none where it is new
    :param server: the one address by which a single host serves it, and
        `host` that one
    :param gateway: of a router of its own
    """

    id: int | None
    uuid: str
    label: str
    cidr: str
    server: str | None
    host: str | None
    gateway: str | None

    def serving(self, address: str) -> str | None:
        """The host that serves the network alone, if by this address."""
        return self.host if address == self.server else None


def judge(
    nova: Nova,
    present: Sequence[AnyRow],
    draft: Draft,
    *,
    check_floating: Callable[[str], object],
    dhcp: bool,
) -> dict[int, Kept]:
    """Return the networks that are kept, by nova's ids.

    :param present: flatnet's own
    :param check_floating: raises where a range holds a floating address
    :param dhcp: whether the hosts are gateways and DHCP servers of networks,
        which nova's rows do not say
    """
    positions = _positions(nova["fixed_ips"])
    others = [
        {each: getattr(row, each) for each in _COMPARED} for row in present
    ]
    found = {}
    for row in nova[TABLE]:
        try:
            values = _values(row, positions.get(row.id, {}), dhcp=dhcp)
            known = _known(values, present)
            if known is None:
                _check_free(values, others)
                check_floating(values["cidr"])
        except FlatnetError as error:
            draft.report.refuse(TABLE, name(row), error)
            continue
        draft.report.keep(TABLE, is_new=known is None)
        if known is None:
            draft.networks.append(values)
            others.append(values)
        found[row.id] = _kept(row, values, known, dhcp=dhcp)
    return found


def name(row: AnyRow) -> str:
    """What a network of nova's is called in a line."""
    return f"network {row.label} ({row.uuid})"


def _values(
    row: AnyRow, known: Mapping[int, bool], *, dhcp: bool
) -> dict[str, Any]:
    """Return the columns of flatnet's row, all of them checked.

    :param known: whether an address is reserved, by its number
    """
    if row.vlan is not None:
        raise InvalidInput(
            f"it is VLAN {row.vlan} of nova's VlanManager, and flatnet has "
            "flat networks only"
        )
    if not row.cidr:
        raise InvalidInput("it has no IPv4 range")
    values = {
        "uuid": checks.uuid(row.uuid),
        "label": checks.name(row.label or row.uuid, "label"),
        "multi_host": bool(row.multi_host),
        "enable_dhcp": row.enable_dhcp is None or bool(row.enable_dhcp),
        "injected": bool(row.injected),
        "project_id": row.project_id or None,
        "host": row.host or None,
        "dns1": checks.name_server(row.dns1),
        "dns2": checks.name_server(row.dns2),
        "dhcp_server": _server(row, dhcp=dhcp),
        **columns.devices(
            row.bridge or "", row.bridge_interface or None, row.mtu
        ),
        **columns.addresses(str(row.cidr), gateway=_gateway(row, dhcp=dhcp)),
        # nova wrote a router of IPv6 into each row that has a range.
        **columns.addresses_v6(
            str(row.cidr_v6) if row.cidr_v6 else None, gateway=None
        ),
    }
    return {**values, **_pool(values["cidr"], row.dhcp_start, known)}


def _server(row: AnyRow, *, dhcp: bool) -> str | None:
    """The address by which one host serves a network, if one does.

    With several hosts each has its own.
    """
    if row.multi_host or not dhcp:
        return None
    server, network = row.dhcp_server or row.gateway, checks.cidr(row.cidr)
    if not server:
        return None
    return str(checks.address_in(server, network, "dhcp_server"))


def _gateway(row: AnyRow, *, dhcp: bool) -> str | None:
    """The address of a router: a single host's own is none."""
    gateway = str(row.gateway) if row.gateway else None
    return None if gateway == _server(row, dhcp=dhcp) else gateway


def _positions(rows: Iterable[AnyRow]) -> dict[int, dict[int, bool]]:
    """Whether addresses are reserved, by network and number."""
    found: dict[int, dict[int, bool]] = {}
    for row in rows:
        try:
            number = int(IPv4Address(str(row.address)))
        except ValueError:
            continue
        found.setdefault(row.network_id, {})[number] = bool(row.reserved)
    return found


def _pool(
    cidr: str, dhcp_start: str | None, known: Mapping[int, bool]
) -> dict[str, Any]:
    """Return what is given out, as offsets.

    nova has a row for each address of the part that it gives out, without a
    gap, and the first and the last of it are reserved.
    """
    first, last = 1, ranges.size(cidr) - 2
    if known:
        lowest, highest = min(known), max(known)
        is_whole = highest - lowest + 1 == len(known)
        if is_whole and known[lowest] and known[highest]:
            zero = int(ip_network(cidr)[0])
            first = max(first, lowest - zero)
            last = min(last, highest - zero)
    start = str(dhcp_start) if dhcp_start else ranges.address_at(cidr, first)
    return {
        "pool_first": first,
        "pool_last": last,
        "next_position": first,
        "dhcp_start": start,
    }


def _known(values: dict[str, Any], present: Sequence[AnyRow]) -> AnyRow | None:
    """Return flatnet's row of a network that it was given before."""
    for row in present:
        if row.uuid == values["uuid"]:
            for each in _FIXED:
                if getattr(row, each) != values[each]:
                    raise Conflict(
                        f"flatnet has it with {each} {getattr(row, each)}, "
                        f"nova with {values[each]}"
                    )
            return row
    return None


def _check_free(
    values: dict[str, Any], others: Iterable[Mapping[str, Any]]
) -> None:
    uplink = values["bridge_interface"]
    for other in others:
        whose = f"network {other['label']} ({other['uuid']})"
        for each in ("cidr", "cidr_v6"):
            mine, theirs = values[each], other[each]
            if mine and theirs and columns.overlap(mine, theirs):
                raise CidrConflict(f"{mine} overlaps {theirs} of {whose}")
        is_mine = values["bridge"] == other["bridge"]
        if uplink and uplink == other["bridge_interface"] and not is_mine:
            raise Conflict(f"uplink {uplink} is that of {whose} already")
        if uplink == other["bridge"] or (
            values["bridge"] == other["bridge_interface"]
        ):
            raise Conflict(
                f"one network's bridge cannot be the uplink of another's, as "
                f"{whose} would have it"
            )


def _kept(
    row: AnyRow,
    values: dict[str, Any],
    known: AnyRow | None,
    *,
    dhcp: bool,
) -> Kept:
    return Kept(
        id=known.id if known is not None else None,
        uuid=values["uuid"],
        label=values["label"],
        cidr=values["cidr"],
        server=_server(row, dhcp=dhcp),
        host=None if values["multi_host"] else values["host"],
        gateway=values["gateway"],
    )
