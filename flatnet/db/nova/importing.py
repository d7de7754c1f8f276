"""nova's rows become flatnet's: what would be written, and the writing.

All is one transaction: what was cut off was not begun.  What flatnet has
already is left as it is, so a second import finds nothing new.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from sqlalchemy import Connection, Table, select

from flatnet.db import engine, floating_pools, models, networks
from flatnet.db.engine import Database
from flatnet.db.models import AnyRow
from flatnet.db.nova import (
    kept_addresses,
    kept_floating,
    kept_groups,
    kept_interfaces,
    kept_networks,
)
from flatnet.db.nova.import_draft import Draft, GroupKey, Report
from flatnet.db.nova.kept_addresses import Addresses
from flatnet.db.nova.source import Nova
from flatnet.db.nova.writing import write
from flatnet.db.turns import wait_for_turn

FIXED_IPS = models.fixed_ips
GROUPS = models.security_groups
INSTANCES = models.instances
MEMBERS = models.security_group_instance_association
NETWORKS = models.networks
VIFS = models.virtual_interfaces
# Seconds of the one transaction.
_PATIENCE = 600.0


@engine.reads
def preview(connection: Connection, nova: Nova, *, dhcp: bool) -> Report:
    """Return what `take_over` would return; nothing is written."""
    return _drafted(connection, nova, dhcp=dhcp).report


def take_over(database: Database, nova: Nova, *, dhcp: bool) -> Report:
    """Write what can be kept of nova's rows; return what that is.

    :param dhcp: whether hosts are gateways and DHCP servers of networks
    """

    def run(connection: Connection) -> Report:
        # No constraint can judge an overlap.
        wait_for_turn(connection)
        networks.locked(connection)
        draft = _drafted(connection, nova, dhcp=dhcp)
        write(connection, draft)
        return draft.report

    return database.write(run, patience=_PATIENCE)


def _drafted(connection: Connection, nova: Nova, *, dhcp: bool) -> Draft:
    draft = Draft()
    living = frozenset(
        connection.scalars(
            select(INSTANCES.c.uuid).where(INSTANCES.c.deleted == 0)
        )
    )
    networks_here = _rows(connection, NETWORKS)
    kept = kept_networks.judge(
        nova,
        networks_here,
        draft,
        check_floating=partial(floating_pools.check_free, connection),
        dhcp=dhcp,
    )
    mine = _rows(connection, VIFS)
    candidates = kept_interfaces.judge(nova, kept, living, mine, draft)
    known, hosts = kept_addresses.known_places(_places(connection))
    found = Addresses(kept, candidates, living, known, hosts, draft)
    found.judge(nova)
    kept_interfaces.settle(nova, candidates, found.bare, draft)
    mine = _rows(connection, models.floating_ips)
    ranges = {row.cidr: row.label for row in networks_here}
    ranges.update({each.cidr: each.label for each in kept.values()})
    kept_floating.judge(nova, found.kept, ranges, mine, known, draft)
    _judge_groups(connection, nova, living, draft)
    return draft


def _rows(connection: Connection, table: Table) -> Sequence[AnyRow]:
    return connection.execute(select(table).order_by(table.c.id)).all()


def _places(connection: Connection) -> Sequence[AnyRow]:
    """flatnet's addresses, with the uuids of networks and kept_interfaces."""
    return connection.execute(
        select(
            FIXED_IPS,
            NETWORKS.c.uuid.label("network_uuid"),
            VIFS.c.uuid.label("interface_uuid"),
        )
        .join_from(FIXED_IPS, NETWORKS)
        .outerjoin(VIFS, VIFS.c.id == FIXED_IPS.c.virtual_interface_id)
    ).all()


def _judge_groups(
    connection: Connection, nova: Nova, living: Collection[str], draft: Draft
) -> None:
    mine = _rows(connection, GROUPS)
    keys: Mapping[int, GroupKey] = {
        row.id: (row.project_id, row.name) for row in mine
    }
    kept = kept_groups.judge_groups(nova, mine, draft)
    rules = _rows(connection, models.security_group_rules)
    kept_groups.judge_rules(nova, kept, rules, keys, draft)
    members = {
        (keys[row.security_group_id], row.instance_uuid)
        for row in _rows(connection, MEMBERS)
        if row.security_group_id in keys
    }
    kept_groups.judge_members(nova, kept, living, members, draft)
