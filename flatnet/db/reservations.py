"""Addresses that are set aside because somebody else has them.

A row says so to all hosts, and why.  It stays until somebody deletes it: that
a host no longer needs an address is no sign that nobody has it.
"""

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import Connection, func, select

from flatnet.db import engine, fixed_ips, models, ranges, requests
from flatnet.db.candidates import Asked
from flatnet.db.clock import Now
from flatnet.db.models import AnyRow
from flatnet.state.taken_addresses import InUse

FIXED_IPS = models.fixed_ips
# What machines on a segment say, nobody vouches for: so many of a network's
# addresses they may take in an hour, and that share of them in all, or one
# that answers for everything has eaten a /24 in four days.
MOST_ANSWERED = 3
_SHARE = 8
_HOUR = timedelta(hours=1)
ANSWERED = "on the segment: "


@engine.writes
def ensure(
    connection: Connection,
    *,
    network_uuid: str,
    host: str,
    in_use: Collection[InUse],
) -> None:
    """Set aside what a host depends on, as far as it is free.

    :raises NetworkNotFound: the network does not exist
    """
    network = requests.locked_network(connection, network_uuid)
    named = frozenset(each.address for each in in_use)
    pools = fixed_ips.pools(connection, [Asked(network, named)])
    fixed_ips.write(
        connection,
        [pools[network.id].without(in_use, host)],
        interface_ids={},
        present=connection.scalars(select(Now())).one(),
    )


@engine.reads
def reasons(connection: Connection, network_id: int) -> dict[str, str]:
    """Return why addresses of a network are set aside, by address."""
    rows = connection.execute(
        select(FIXED_IPS.c.address, FIXED_IPS.c.reason)
        .where(
            FIXED_IPS.c.network_id == network_id,
            FIXED_IPS.c.reserved.is_(True),
        )
        .order_by(FIXED_IPS.c.position)
    )
    return {row.address: row.reason or "" for row in rows}


def may_be_answered(connection: Connection, network: AnyRow) -> bool:
    """Whether machines on the segment may take one more address."""
    present = connection.execute(select(Now())).scalar_one()
    theirs = (
        FIXED_IPS.c.network_id == network.id,
        FIXED_IPS.c.reserved.is_(True),
        FIXED_IPS.c.reason.startswith(ANSWERED, autoescape=True),
    )
    count = select(func.count()).where(*theirs)
    lately = count.where(FIXED_IPS.c.updated_at > present - _HOUR)
    most = max(MOST_ANSWERED, ranges.size(network.cidr) // _SHARE)
    return (
        connection.execute(lately).scalar_one() < MOST_ANSWERED
        and connection.execute(count).scalar_one() < most
    )
