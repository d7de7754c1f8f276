"""What is asked about a host, as statements that are made once.

To make a statement and to know it again costs as much as to send it.  Their
parameters are `host`, and `instances` (uuids) and `ids`, which expand.
"""

from typing import Any

from sqlalchemy import (
    BindParameter,
    Select,
    Subquery,
    and_,
    bindparam,
    or_,
    select,
    union,
)

from flatnet.db import interfaces, models, networks, security_group_rules
from flatnet.state.rows import GONE

FIXED_IPS = models.fixed_ips
NETWORKS = models.networks
INSTANCES = models.instances
VIFS = models.virtual_interfaces
GROUPS = models.security_groups
RULES = models.security_group_rules
MEMBERS = models.security_group_instance_association
BINDINGS = models.port_bindings
HOST: BindParameter[str] = bindparam("host")
INSTANCE_UUIDS: BindParameter[Any] = bindparam("instances", expanding=True)
IDS: BindParameter[Any] = bindparam("ids", expanding=True)
ALIVE = INSTANCES.c.deleted == 0
_NAMED = (ALIVE, INSTANCES.c.host == HOST)
_CHOSEN = (ALIVE, INSTANCES.c.uuid.in_(INSTANCE_UUIDS))
# Interfaces of living instances whose row names the host, and of others.
ATTACHED_HERE = interfaces.ATTACHED.where(*_NAMED)
ATTACHED = interfaces.ATTACHED.where(*_CHOSEN)
# The groups of the same.
JOINED_HERE = interfaces.JOINED.where(*_NAMED)
JOINED = interfaces.JOINED.where(*_CHOSEN)
# And the floating addresses that lead to them.
FLOATING_HERE = interfaces.FLOATING.where(*_NAMED)
FLOATING = interfaces.FLOATING.where(*_CHOSEN)
# Living instances in groups, one row per address, or one without.
MEMBERSHIPS = (
    select(
        MEMBERS.c.security_group_id,
        MEMBERS.c.instance_uuid,
        FIXED_IPS.c.address,
    )
    .join(INSTANCES, INSTANCES.c.uuid == MEMBERS.c.instance_uuid)
    .outerjoin(FIXED_IPS, FIXED_IPS.c.instance_uuid == MEMBERS.c.instance_uuid)
    .where(ALIVE)
)
MEMBERS_OF_GROUPS = MEMBERSHIPS.where(MEMBERS.c.security_group_id.in_(IDS))
_HELD = and_(FIXED_IPS.c.network_id == NETWORKS.c.id, FIXED_IPS.c.host == HOST)
# The address of the one server of all hosts, and who said that he has it.
_SERVER = FIXED_IPS.alias("server")
_SERVING = and_(
    _SERVER.c.network_id == NETWORKS.c.id,
    _SERVER.c.address == NETWORKS.c.dhcp_server,
    _SERVER.c.instance_uuid.is_(None),
)
_NETWORKS = (
    select(
        *networks.COLUMNS,
        FIXED_IPS.c.address.label("held"),
        _SERVER.c.host.label("holder"),
    )
    .outerjoin(FIXED_IPS, _HELD)
    .outerjoin(_SERVER, _SERVING)
)
_IS_SHARED = and_(
    NETWORKS.c.multi_host.is_(False), NETWORKS.c.enable_dhcp.is_(True)
)


def networks_among(ids: Any) -> Select[Any]:
    """Networks, each with the address of the host's bridge in it.

    :param ids: a parameter, or a statement that finds them
    """
    return _NETWORKS.where(NETWORKS.c.id.in_(ids))


def groups_among(ids: Any) -> Select[Any]:
    """Groups, one row per rule; one without a rule has one row.

    :param ids: a parameter, or a statement that finds them
    """
    return (
        select(
            GROUPS.c.id.label("group"),
            GROUPS.c.name,
            *security_group_rules.COLUMNS,
        )
        .outerjoin(RULES, RULES.c.parent_group_id == GROUPS.c.id)
        .where(GROUPS.c.id.in_(ids))
    )


# Groups by id, each with its rules by age.
GROUPS_WITH_RULES = groups_among(IDS).order_by(GROUPS.c.id, RULES.c.id)
_OTHERS = VIFS.alias("others")
# Networks by id, and all others in which the host has an address, or whose
# one server it is or may be.
NETWORKS_HERE = _NETWORKS.where(
    or_(
        NETWORKS.c.id.in_(IDS),
        NETWORKS.c.id.in_(
            select(FIXED_IPS.c.network_id).where(FIXED_IPS.c.host == HOST)
        ),
        and_(
            _IS_SHARED,
            or_(
                NETWORKS.c.host == HOST,
                NETWORKS.c.host == "",
                NETWORKS.c.host.is_(None),
            ),
        ),
    )
).order_by(NETWORKS.c.id)
# All interfaces of living instances that have one in networks that a host
# serves for all: which is an instance's first no other row says.
ATTACHED_TO = interfaces.ATTACHED.where(
    ALIVE,
    VIFS.c.instance_uuid.in_(
        select(_OTHERS.c.instance_uuid).where(_OTHERS.c.network_id.in_(IDS))
    ),
)


def of_living(
    chosen: Select[Any], instance_uuid: Any, host: str
) -> Select[Any]:
    """Keep what belongs to a living instance of the host."""
    here = _living(host)
    return chosen.join(here, here.c.uuid == instance_uuid)


def _living(host: str) -> Subquery:
    """The living instances of the host.

    Those whose row names it, or that have an interface bound to it.
    """
    named = select(INSTANCES.c.uuid).where(ALIVE, INSTANCES.c.host == host)
    bound = (
        select(INSTANCES.c.uuid)
        .join(BINDINGS, BINDINGS.c.instance_uuid == INSTANCES.c.uuid)
        .where(ALIVE, BINDINGS.c.host == host, BINDINGS.c.wanted != GONE)
    )
    return union(named, bound).subquery("here")
