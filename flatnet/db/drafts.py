"""Drafts: all that orders need is read at once, and what came of it written.

So the number of statements does not grow with that of the orders.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection, select

from flatnet.db import addresses, bindings, models, vifs
from flatnet.db.draft import Draft, Wanted
from flatnet.db.models import AnyRow
from flatnet.db.orders import Order, Placement
from flatnet.db.tenants import Tenants

NETWORKS = models.networks


def read(
    connection: Connection,
    wanted: Sequence[tuple[Order, Wanted]],
    known: Tenants,
    placement: Placement,
) -> Draft:
    """Return what orders are served from, of the networks that are wanted.

    All of them are locked, and `known` was read after that.
    """
    pools = addresses.pools(
        connection,
        _asked(wanted, placement) + _others(connection, wanted, known),
        host=placement.host,
        quarantine=placement.quarantine,
        present=known.present,
    )
    number, named = 0, set[str]()
    for order, networks in wanted:
        has = known.get(order.instance_uuid)
        held = {vif.mac for vif in has.vifs}
        missing = [each for each, _ in networks if not has.vif_in(each.id)]
        macs = [mac for mac in order.macs if mac not in held]
        number += max(len(missing) - len(macs), 0)
        named.update(macs[: len(missing)])
    available = vifs.macs(
        connection,
        number=number,
        wanted=named,
        attempts=placement.mac_attempts,
    )
    return Draft(placement, pools, known, available)


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
        }
        for tenant in tenants
        for vif in tenant.vifs
        if vif.id is None
    ]
    ids = {vif.uuid: vif.id for each in tenants for vif in each.vifs if vif.id}
    present = draft.tenants.present
    addresses.write(
        connection,
        draft.pools.values(),
        interface_ids={**ids, **vifs.add(connection, new)},
        present=present,
    )
    bindings.serve(
        connection,
        tenants,
        host=draft.placement.host,
        plug=draft.placement.plug,
        present=present,
    )


def _asked(
    wanted: Sequence[tuple[Order, Wanted]], placement: Placement
) -> list[addresses.Asked]:
    """What of each network may be needed; its bridge may need one too."""
    rows: dict[int, AnyRow] = {}
    number: Counter[int] = Counter()
    named: defaultdict[int, set[str]] = defaultdict(set)
    for _, networks in wanted:
        for network, address in networks:
            rows[network.id] = network
            number[network.id] += 1
            if address:
                named[network.id].add(address)
    in_use = {each.address for each in placement.in_use}
    return [
        addresses.Asked(
            network, frozenset(named[key] | in_use), number[key] + 1
        )
        for key, network in sorted(rows.items())
    ]


def _others(
    connection: Connection,
    wanted: Sequence[tuple[Order, Wanted]],
    known: Tenants,
) -> list[addresses.Asked]:
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
    return [addresses.Asked(row) for row in rows]
