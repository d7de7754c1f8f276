"""What a transaction is going to write for its orders, before it does.

Orders are served one after the other, in values, and each sees what those
before it got.  One that cannot be served leaves the draft as it was.
"""

import uuid as uuids
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from flatnet.db import ipv6_rows, networks
from flatnet.db.models import AnyRow
from flatnet.db.orders import Order, Placing, Served
from flatnet.db.pool import Owner, Pool
from flatnet.db.tenants import Tenant, Tenants, Vif
from flatnet.db.vifs import Macs
from flatnet.exceptions import FixedIpAlreadyInUse

Rate = TypeVar("Rate", float | None, int | None)
Wanted = tuple[tuple[AnyRow, str | None], ...]


@dataclass(frozen=True)
class Draft:
    """Pools by their networks' ids, tenants, and MACs that can be had.

    `served` are the uuids of the instances whose orders were, in turn,
    `rated` those of the interfaces that may send and take something else now.
    """

    placement: Placing
    pools: Mapping[int, Pool]
    tenants: Tenants
    macs: Macs
    served: tuple[str, ...] = ()
    rated: tuple[str, ...] = ()

    def having(self, tenant: Tenant, vif: Vif) -> "Draft":
        """Return a draft in which an interface is new, or another one."""
        known = {each.uuid: each for each in tenant.vifs}
        known[vif.uuid] = vif
        tenant = replace(tenant, vifs=tuple(known.values()))
        return replace(self, tenants=self.tenants.having(tenant))

    def having_served(self, instance_uuid: str) -> "Draft":
        """Return a draft in which an instance is one that was served."""
        if instance_uuid in self.served:
            return self
        return replace(self, served=(*self.served, instance_uuid))

    def with_pool(self, pool: Pool) -> "Draft":
        """Return a draft in which a network's pool is another one."""
        return replace(self, pools={**self.pools, pool.network.id: pool})


def served(draft: Draft, order: Order, wanted: Wanted) -> Draft:
    """Return a draft with an interface and address for each that is wanted.

    :raises FlatnetError: why this order cannot be served
    """
    draft, vifs = _attached(draft, order, wanted)
    lacking = []
    for (network, address), vif in zip(wanted, vifs, strict=True):
        held = vif.addresses
        if address is not None and held and address not in held:
            raise FixedIpAlreadyInUse(
                f"instance {order.instance_uuid} already holds {held[0]} in "
                f"network {network.label}, not {address}: deallocate it first"
            )
        if not held:
            lacking.append((vif, address))
        elif vif != (own := _with_ipv6(draft, vif, network)):
            tenant = draft.tenants.get(order.instance_uuid)
            draft = draft.having(tenant, own)
    # Whoever takes the next one leaves those that are asked for by name.
    for vif, address in sorted(lacking, key=lambda each: each[1] is None):
        draft = _given(draft, order, vif, address)
    draft = _rated(draft, order)
    return draft.having_served(order.instance_uuid)


def _rated(draft: Draft, order: Order) -> Draft:
    """Let all interfaces of an instance have the rate that is ordered.

    A new one without an order has that of the first.
    """
    tenant = draft.tenants.get(order.instance_uuid)
    first = tenant.vifs[0] if tenant.vifs else Vif("", "", 0)
    for vif in tenant.vifs:
        known = first if vif.id is None else vif
        rated = replace(
            vif,
            rxtx_factor=_ordered(order.rxtx_factor, known.rxtx_factor),
            port_rate=_ordered(order.port_rate, known.port_rate),
        )
        if rated != vif:
            draft = draft.having(draft.tenants.get(tenant.uuid), rated)
            draft = replace(draft, rated=(*draft.rated, vif.uuid))
    return draft


def _ordered(wanted: Rate, known: Rate) -> Rate:
    return known if wanted is None else wanted


def with_one_more(draft: Draft, order: Order, network: AnyRow) -> Draft:
    """Return a draft with one more address in a network.

    The oldest interface there gets it.

    :raises FlatnetError: why it cannot be had
    """
    draft, (vif,) = _attached(draft, order, ((network, None),))
    draft = _rated(_given(draft, order, vif, None), order)
    return draft.having_served(order.instance_uuid)


def result(draft: Draft, instance_uuid: str) -> Served:
    """Return what an instance has by a draft."""
    tenant = draft.tenants.get(instance_uuid)
    return Served(
        host=tenant.host,
        networks=tuple(
            (
                tenant.interface(vif),
                networks.from_row(draft.pools[vif.network_id].network),
                draft.pools[vif.network_id].bridge,
            )
            for vif in tenant.vifs
        ),
    )


def _attached(
    draft: Draft, order: Order, wanted: Wanted
) -> tuple[Draft, tuple[Vif, ...]]:
    """Let an instance have an interface for each that is wanted.

    They are returned too, in that order.
    """
    known = draft.tenants.get(order.instance_uuid).matched(wanted)
    vifs = []
    for (network, _), found in zip(wanted, known, strict=True):
        draft, vif = _opened(draft, network), found
        if vif is None:
            draft, vif = _added(draft, order, network)
        vifs.append(vif)
    return draft, tuple(vifs)


def _opened(draft: Draft, network: AnyRow) -> Draft:
    """Have the host itself take what it needs of a network, if it has not."""
    placement = draft.placement
    pool = draft.pools[network.id].without(placement.in_use, placement.host)
    if placement.takes_address:
        pool = pool.with_bridge(placement.host)
    return draft.with_pool(pool)


def _added(draft: Draft, order: Order, network: AnyRow) -> tuple[Draft, Vif]:
    tenant = draft.tenants.get(order.instance_uuid)
    held = {vif.mac for vif in tenant.vifs}
    macs, mac = draft.macs.take([mac for mac in order.macs if mac not in held])
    vif = Vif(str(uuids.uuid4()), mac, network.id)
    if tenant.vifs:
        # Unplugged is who is so, whatever comes.
        vif = replace(vif, is_plugged=tenant.vifs[0].is_plugged)
    return replace(draft, macs=macs).having(tenant, vif), vif


def _given(draft: Draft, order: Order, vif: Vif, address: str | None) -> Draft:
    """Give an interface an address, the next where none is asked for."""
    pool = draft.pools[vif.network_id]
    tenant = draft.tenants.get(order.instance_uuid)
    owner = Owner(
        instance_uuid=tenant.uuid,
        interface_uuid=vif.uuid,
        ordinal=vif.ordinal,
    )
    if address is None:
        pool, address = pool.take_next(owner)
    else:
        pool = pool.take(address, owner)
    vif = replace(
        vif,
        addresses=(*vif.addresses, address),
        ordinal=vif.ordinal + 1,
    )
    vif = _with_ipv6(draft, vif, pool.network)
    return draft.with_pool(pool).having(tenant, vif)


def _with_ipv6(draft: Draft, vif: Vif, network: AnyRow) -> Vif:
    """Return an interface with what its MAC makes in a network, if any."""
    if not draft.placement.use_ipv6:
        return vif
    made = ipv6_rows.made_for(vif.mac, network)
    return replace(vif, address_v6=made) if made else vif
