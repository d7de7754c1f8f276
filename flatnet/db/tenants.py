"""Instances with what they have on their networks, for whoever gives more."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from sqlalchemy import and_, bindparam, select

from flatnet.db import interfaces, models
from flatnet.db.clock import Now
from flatnet.db.models import AnyRow
from flatnet.exceptions import InstanceElsewhere, InstanceNotFound
from flatnet.state.rows import Interface

INSTANCES = models.instances
VIFS = models.virtual_interfaces
FIXED_IPS = models.fixed_ips
BINDINGS = models.port_bindings
ALIVE = INSTANCES.c.deleted == 0
_COLUMNS = (
    Now().label("present"),
    INSTANCES.c.uuid.label("instance_uuid"),
    INSTANCES.c.host,
    INSTANCES.c.hostname,
    INSTANCES.c.project_id,
    VIFS.c.id,
    VIFS.c.uuid.label("vif"),
    VIFS.c.address.label("mac"),
    VIFS.c.network_id,
    VIFS.c.rxtx_factor,
    VIFS.c.port_rate,
    VIFS.c.plugged,
    FIXED_IPS.c.address,
    FIXED_IPS.c.position,
    FIXED_IPS.c.ordinal,
    BINDINGS.c.id.label("binding"),
    BINDINGS.c.wanted,
)
# The living among `instances`, one row per address of an interface, or one of
# what has none; `at` is the host whose bindings are read.
ROWS = (
    select(*_COLUMNS)
    .select_from(INSTANCES)
    .outerjoin(VIFS, VIFS.c.instance_uuid == INSTANCES.c.uuid)
    .outerjoin(FIXED_IPS, FIXED_IPS.c.virtual_interface_id == VIFS.c.id)
    .outerjoin(
        BINDINGS,
        and_(
            BINDINGS.c.interface_uuid == VIFS.c.uuid,
            BINDINGS.c.host == bindparam("at"),
        ),
    )
    .where(ALIVE, INSTANCES.c.uuid.in_(bindparam("instances", expanding=True)))
)


@dataclass(frozen=True)
class Vif:
    """An interface, with its addresses by age.

    `ordinal` is what its next one gets.  `id` is none where it has no row
    yet.  `binding` is the id of the row that binds it to the host, `wanted`
    what that says, both none without one.  `rxtx_factor` and `port_rate` are
    what it may send and take, and `is_plugged` whether it is to have a port,
    as `Interface` has them.  `address_v6` is what
    it has in the network's IPv6 range, or comes to have; `stored_v6` what its
    row says.
    """

    uuid: str
    mac: str
    network_id: int
    addresses: tuple[str, ...] = ()
    ordinal: int = 0
    id: int | None = None
    binding: int | None = None
    wanted: str | None = None
    rxtx_factor: float | None = None
    port_rate: int | None = None
    is_plugged: bool = True
    address_v6: str | None = None
    stored_v6: str | None = None


@dataclass(frozen=True)
class Tenant:
    """A living instance, with its interfaces by age."""

    uuid: str
    host: str | None = None
    hostname: str | None = None
    project_id: str | None = None
    vifs: tuple[Vif, ...] = ()

    def matched(
        self, wanted: Iterable[tuple[AnyRow, str | None]]
    ) -> tuple[Vif | None, ...]:
        """Return its interface for each that is wanted, none for a new one.

        Each is one for itself: the one that holds the address that is
        wanted, else the oldest that is left in the network.

        :param wanted: networks' rows, each with an address or none
        """
        asked = list(enumerate(wanted))
        left, found = list(self.vifs), dict[int, Vif]()
        for number, (network, address) in asked:
            for vif in left:
                if vif.network_id == network.id and address in vif.addresses:
                    found[number] = vif
                    left.remove(vif)
                    break
        for number, (network, _) in asked:
            mine = [each for each in left if each.network_id == network.id]
            if number not in found and mine:
                found[number] = mine[0]
                left.remove(mine[0])
        return tuple(found.get(number) for number, _ in asked)

    def check_host(self, host: str) -> None:
        """Check that its row means this host.

        :raises InstanceElsewhere: it names another one
        """
        if self.host not in (None, host):
            raise InstanceElsewhere(
                f"instance {self.uuid} is on host {self.host} by its row, "
                f"not on {host}: ask there, or write instances.host"
            )

    def interface(self, vif: Vif) -> Interface:
        """Return one of its interfaces as the value that leaves `db`."""
        return Interface(
            uuid=vif.uuid,
            mac=vif.mac,
            network_id=vif.network_id,
            instance_uuid=self.uuid,
            hostname=self.hostname,
            project_id=self.project_id,
            host=self.host,
            addresses=(*vif.addresses, *filter(None, (vif.address_v6,))),
            has_default_route=vif.uuid == self.vifs[0].uuid,
            rxtx_factor=vif.rxtx_factor,
            port_rate=vif.port_rate,
            is_plugged=vif.is_plugged,
        )


@dataclass(frozen=True)
class Tenants:
    """Living instances by uuid; `present` is by the database's clock."""

    by_uuid: Mapping[str, Tenant]
    present: datetime | None = None

    def get(self, uuid: str) -> Tenant:
        """Return one of them.

        :raises InstanceNotFound: it is none of them
        """
        if uuid not in self.by_uuid:
            raise InstanceNotFound(f"no living instance has uuid {uuid}")
        return self.by_uuid[uuid]

    def having(self, tenant: Tenant) -> "Tenants":
        """Return them with one that is another by now."""
        return replace(self, by_uuid={**self.by_uuid, tenant.uuid: tenant})


def from_rows(rows: Sequence[AnyRow]) -> Tenants:
    """Return the instances that rows of `ROWS` are about."""
    by_age = sorted(rows, key=_age)
    found = {uuid: _tenant(list(its)) for uuid, its in groupby(by_age, _uuid)}
    return Tenants(found, rows[0].present if rows else None)


def _age(row: AnyRow) -> tuple[str, int, int, int]:
    """By instance, interface and address."""
    return row.instance_uuid, row.id or 0, *interfaces.age(row)


def _uuid(row: AnyRow) -> str:
    return str(row.instance_uuid)


def _tenant(rows: list[AnyRow]) -> Tenant:
    first = rows[0]
    attached = [row for row in rows if row.vif is not None]
    return Tenant(
        uuid=first.instance_uuid,
        host=first.host,
        hostname=first.hostname,
        project_id=first.project_id,
        vifs=tuple(
            _vif(list(its))
            for _, its in groupby(attached, lambda row: row.vif)
        ),
    )


def _vif(rows: list[AnyRow]) -> Vif:
    first = rows[0]
    held = [row for row in rows if row.address and row.position >= 0]
    six = next((r.address for r in rows if r.address and r.position < 0), None)
    return Vif(
        uuid=first.vif,
        id=first.id,
        mac=first.mac,
        network_id=first.network_id,
        addresses=tuple(row.address for row in held),
        ordinal=held[-1].ordinal + 1 if held else 0,
        binding=first.binding,
        wanted=first.wanted,
        rxtx_factor=first.rxtx_factor,
        port_rate=first.port_rate,
        is_plugged=bool(first.plugged),
        address_v6=six,
        stored_v6=six,
    )
