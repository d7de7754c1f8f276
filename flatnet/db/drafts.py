"""Drafts: all that orders need is read at once, and what came of it written.

So the number of statements does not grow with that of the orders.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from flatnet.db import bindings, fixed_ips, ipv6_rows, models, vifs
from flatnet.db.allocation_state import AllocationState
from flatnet.db.candidates import Asked
from flatnet.db.draft import Draft, Wanted
from flatnet.db.orders import Order, Placing
from flatnet.db.tenants import Tenants

NETWORKS = models.networks


def read(
    connection: Connection,
    wanted: Sequence[tuple[Order, Wanted]],
    found: AllocationState,
    placement: Placing,
) -> Draft:
    """Return what orders are served from, of the networks that are wanted.

    All of them are locked, and `found` was read after that.
    """
    known = found.tenants
    used = {network.id for _, networks in wanted for network, _ in networks}
    pools = fixed_ips.pools_of(
        connection,
        [each for each in found.asked if each.network.id in used],
        found.rows,
        host=placement.host,
        quarantine=placement.quarantine,
        present=known.present,
    )
    others = fixed_ips.pools(
        connection, _others(connection, wanted, known), host=placement.host
    )
    number = 0
    for order, networks in wanted:
        has = known.get(order.instance_uuid)
        held = {vif.mac for vif in has.vifs}
        missing = has.matched(networks).count(None)
        macs = sum(mac not in held for mac in order.macs)
        number += max(missing - macs, 0)
    available = vifs.macs(
        connection,
        number=number,
        drawn=found.drawn,
        unfit=found.named,
        taken=found.taken,
        attempts=placement.mac_attempts,
    )
    return Draft(placement, {**pools, **others}, known, available)


def write(connection: Connection, draft: Draft) -> None:
    """Write what the orders that were served have got."""
    if not draft.served or draft.tenants.present is None:
        return
    tenants = [draft.tenants.get(uuid) for uuid in draft.served]
    new = [
        {
            "uuid": vif.uuid,
            "address": vif.mac,
            "network_id": vif.network_id,
            "instance_uuid": tenant.uuid,
            "rxtx_factor": vif.rxtx_factor,
            "port_rate": vif.port_rate,
            "plugged": vif.is_plugged,
        }
        for tenant in tenants
        for vif in tenant.vifs
        if vif.id is None
    ]
    known = [vif for each in tenants for vif in each.vifs if vif.id]
    ids = {vif.uuid: vif.id for vif in known if vif.id}
    vifs.rate(connection, [vif for vif in known if vif.uuid in draft.rated])
    ids |= vifs.add(connection, new)
    present = draft.tenants.present
    fixed_ips.write(
        connection, draft.pools.values(), interface_ids=ids, present=present
    )
    ipv6_rows.write(connection, tenants, interface_ids=ids, present=present)
    bindings.serve(
        connection,
        tenants,
        host=draft.placement.host,
        plug=draft.placement.plug,
        present=present,
    )


def _others(
    connection: Connection,
    wanted: Sequence[tuple[Order, Wanted]],
    known: Tenants,
) -> list[Asked]:
    """Networks that the instances have beside those that are wanted."""
    asked = {network.id for _, networks in wanted for network, _ in networks}
    has = {
        vif.network_id
        for order, _ in wanted
        for vif in known.get(order.instance_uuid).vifs
    }
    if has <= asked:
        return []
    rows = connection.execute(
        select(NETWORKS).where(NETWORKS.c.id.in_(sorted(has - asked)))
    )
    return [Asked(row) for row in rows]
