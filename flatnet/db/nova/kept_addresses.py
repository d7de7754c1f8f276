"""Which of nova's addresses are kept, and for whom.

nova has a row for each address; flatnet for those that somebody has or had.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from flatnet.db import checks, ranges
from flatnet.db.models import AnyRow
from flatnet.db.nova import kept_interfaces
from flatnet.db.nova.import_draft import Draft, Place
from flatnet.db.nova.kept_interfaces import KeptInterface
from flatnet.db.nova.kept_networks import Kept
from flatnet.db.nova.source import Nova
from flatnet.exceptions import Conflict, FlatnetError

TABLE = "fixed_ips"
_RESERVED = "reserved in nova"
_NOBODY: dict[str, Any] = {
    "instance_uuid": None,
    "allocated": False,
    "leased": False,
    "reserved": False,
    "host": None,
    "reason": None,
    "ordinal": 0,
}


@dataclass
class Addresses:
    """The addresses of networks in the making.

    :param known: flatnet's rows, by network and address
    :param hosts: whose bridges have one, by network
    :param kept: where nova's rows are kept, by nova's ids; none where it is
        for no instance
    :param with_address: nova's interfaces that keep an address, `without`
        those of which one was refused
    """

    networks: Mapping[int, Kept]
    interfaces: Mapping[int, KeptInterface]
    living: Collection[str]
    known: dict[Place, AnyRow]
    hosts: dict[tuple[str, str], str]
    draft: Draft
    kept: dict[int, Place | None] = field(default_factory=dict)
    with_address: set[int] = field(default_factory=set)
    without: set[int] = field(default_factory=set)
    _ordinals: Counter[int] = field(default_factory=Counter)
    _seen: set[Place] = field(default_factory=set)

    def judge(self, nova: Nova) -> None:
        """Go through nova's rows, and what they leave out."""
        for row in nova[TABLE]:
            network = self.networks.get(row.network_id)
            owner = nova.owner(row)
            try:
                if network is None:
                    self._check_unused(row, owner)
                    continue
                place = network.uuid, str(checks.address(row.address))
                self._put(row, network, place, owner)
            except FlatnetError as error:
                self.without.add(row.virtual_interface_id)
                self.draft.report.refuse(TABLE, _name(row, owner), error)
                if network and (owner in nova.living or row.host):
                    self._withhold(row, network, owner)
        for network in self.networks.values():
            self._set_aside(network)

    @property
    def bare(self) -> set[int]:
        """nova's interfaces all of whose addresses are refused."""
        return self.without - self.with_address

    def _check_unused(self, row: AnyRow, owner: str | None) -> None:
        """Check that nobody had an address whose network is not kept."""
        if owner or row.host:
            raise Conflict("its network is not kept")

    def _put(
        self, row: AnyRow, network: Kept, place: Place, owner: str | None
    ) -> None:
        wanted: dict[str, Any] = dict(_NOBODY)
        interface = None
        if owner and row.allocated:
            interface = self._interface(row, owner)
            wanted |= {
                "instance_uuid": owner,
                "allocated": True,
                "leased": bool(row.leased),
                "ordinal": self._ordinals[row.virtual_interface_id],
            }
        elif host := row.host or network.serving(place[1]):
            self._check_host(network, host, place[1])
            wanted["host"] = host
        elif row.reserved:
            wanted |= {"reserved": True, "reason": _RESERVED}
        elif not (owner or row.leased or row.updated_at):
            # It was never used.
            return
        self._keep(network, place, wanted, interface)
        self.kept[row.id] = place if interface is not None else None
        if interface is not None:
            self._ordinals[row.virtual_interface_id] += 1
            self.with_address.add(row.virtual_interface_id)

    def _interface(self, row: AnyRow, owner: str) -> KeptInterface:
        kept_interfaces.check_living(owner, self.living)
        found = self.interfaces.get(row.virtual_interface_id)
        if found is None:
            raise Conflict("its interface is not kept, or not there")
        if found.instance_uuid != owner:
            raise Conflict(
                f"its interface is that of instance {found.instance_uuid}"
            )
        return found

    def _check_host(self, network: Kept, host: str, address: str) -> None:
        checks.name(host, "host")
        has = self.hosts.setdefault((network.uuid, host), address)
        if has != address:
            raise Conflict(f"the bridge of host {host} has {has} already")

    def _keep(
        self,
        network: Kept,
        place: Place,
        wanted: dict[str, Any],
        interface: KeptInterface | None,
    ) -> None:
        """Write a row, unless flatnet has it; whoever has it keeps it."""
        if place in self._seen:
            raise Conflict("nova has it twice")
        position = _position(network, place[1])
        known = self.known.get(place)
        if known is not None and _is_free(known, wanted["instance_uuid"]):
            if wanted == _NOBODY:
                self._count(place, is_new=False)
                return
            if known.updated_at != known.created_at:
                raise Conflict("flatnet has released it since")
        elif known is not None:
            self._check_holder(known, wanted, interface)
            self._count(place, is_new=False)
            return
        self._count(place, is_new=True)
        uuid = interface.uuid if interface else None
        if known is not None:
            self.draft.taken.append((known.id, uuid, wanted))
        else:
            values = {**wanted, "address": place[1], "position": position}
            self.draft.addresses.append((place, uuid, values))

    def _withhold(self, row: AnyRow, network: Kept, owner: str | None) -> None:
        """Let nobody have an address that somebody uses, by nova's rows."""
        reason = (
            _withheld(owner)
            if row.allocated
            else f"nova: bridge of host {row.host}"
        )
        with suppress(FlatnetError):
            place = network.uuid, str(checks.address(row.address))
            if place in self.known or place in self._seen:
                return
            self._seen.add(place)
            values = {
                **_NOBODY,
                "reserved": True,
                "reason": reason,
                "address": place[1],
                "position": _position(network, place[1]),
            }
            self.draft.addresses.append((place, None, values))

    def _count(self, place: Place, *, is_new: bool) -> None:
        self._seen.add(place)
        self.draft.report.keep(TABLE, is_new=is_new)

    def _check_holder(
        self,
        known: AnyRow,
        wanted: dict[str, Any],
        interface: KeptInterface | None,
    ) -> None:
        """Check that flatnet has an address for whom nova has it."""
        mine = known.instance_uuid, known.host, bool(known.reserved)
        asked = wanted["instance_uuid"], wanted["host"], wanted["reserved"]
        is_same = interface is None or known.interface_uuid == interface.uuid
        # What nova has for nobody, flatnet may have given out since.
        if wanted != _NOBODY and (mine != asked or not is_same):
            raise Conflict(f"in flatnet it is {_whose(known)}")

    def _set_aside(self, network: Kept) -> None:
        """Keep what a network's own row says of addresses without one."""
        for address in filter(None, (network.server, network.gateway)):
            place = network.uuid, address
            if place in self._seen or place in self.known:
                continue
            position = _position(network, address)
            host = network.serving(address)
            values: dict[str, Any] = {**_NOBODY, "host": host}
            if (network.uuid, host) in self.hosts or not host:
                values |= {"host": None, "reserved": True, "reason": _RESERVED}
            values |= {"address": address, "position": position}
            self.draft.addresses.append((place, None, values))


def known_places(
    rows: Sequence[AnyRow],
) -> tuple[dict[Place, AnyRow], dict[tuple[str, str], str]]:
    """Return flatnet's rows by place, and the addresses of bridges."""
    places = {(row.network_uuid, row.address): row for row in rows}
    hosts = {
        (row.network_uuid, row.host): row.address for row in rows if row.host
    }
    return places, hosts


def _is_free(row: AnyRow, owner: str | None) -> bool:
    """Whether a row of flatnet's is nobody's, or waits for that instance."""
    if row.reserved:
        return owner is not None and row.reason == _withheld(owner)
    return not (row.instance_uuid or row.host)


def _withheld(owner: str | None) -> str:
    return f"nova: instance {owner}"


def _position(network: Kept, address: str) -> int:
    position = ranges.position(network.cidr, address)
    if not 0 <= position < ranges.size(network.cidr):
        raise Conflict(f"it is outside {network.cidr} of its network")
    return position


def _whose(row: AnyRow) -> str:
    if row.instance_uuid:
        return f"instance {row.instance_uuid}'s"
    if row.host:
        return f"the bridge's of host {row.host}"
    return f"reserved: {row.reason}"


def _name(row: AnyRow, owner: str | None) -> str:
    whose = f" of instance {owner}" if owner else ""
    if row.host and not owner:
        whose = f" of host {row.host}"
    return f"address {row.address}{whose}"
