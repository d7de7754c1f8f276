"""What a host found of ports whose rows are as it knew them.

That is nearly all that a host ever finds: a port that was to be made is there,
one that was to go went.  Of all that are alike it is one statement, which is
also the question whether somebody else has written there since.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Delete,
    Update,
    and_,
    bindparam,
    exists,
    or_,
    update,
)
from sqlalchemy import delete as delete_from

from flatnet.db import models
from flatnet.db.clock import Now
from flatnet.state.rows import GONE, SERVING, Binding, Finding

BINDINGS = models.port_bindings
VIFS = models.virtual_interfaces
INSTANCES = models.instances


@dataclass(frozen=True)
class Found:
    """The columns of a binding that say what the host made of it."""

    found: str | None
    carrier: bool | None
    reason: str | None
    plug: str | None


def names(host: str | BindParameter[str]) -> ColumnElement[bool]:
    """That a binding's instance lives and its row may mean this host."""
    return exists().where(
        INSTANCES.c.uuid == BINDINGS.c.instance_uuid,
        or_(INSTANCES.c.host == host, INSTANCES.c.host.is_(None)),
        INSTANCES.c.deleted == 0,
    )


def is_asked_for(host: str | BindParameter[str]) -> ColumnElement[bool]:
    """That a binding's interface is there and may be meant to be here."""
    is_there = exists().where(VIFS.c.uuid == BINDINGS.c.interface_uuid)
    return and_(names(host), is_there)


_AT: BindParameter[str] = bindparam("at")
_ALIKE = (
    BINDINGS.c.host == _AT,
    BINDINGS.c.interface_uuid.in_(bindparam("uuids", expanding=True)),
)
# What became of ports that serve, are of the kind that is known and so on.
_CONFIRM = (
    update(BINDINGS)
    .where(
        *_ALIKE,
        BINDINGS.c.wanted == SERVING,
        BINDINGS.c.plug == bindparam("new_plug"),
    )
    .values(
        found=bindparam("new_found"),
        carrier=bindparam("new_carrier"),
        reason=bindparam("new_reason"),
        seen_at=Now(),
    )
)
_CONFIRM_GONE = delete_from(BINDINGS).where(
    *_ALIKE, BINDINGS.c.wanted == GONE, ~is_asked_for(_AT)
)


def confirmed(
    connection: Connection,
    host: str,
    findings: Sequence[Finding],
    known: Mapping[str, Binding],
) -> dict[str, Binding | None]:
    """Write what can be; return what became of these, by interface.

    That are ports that serve, and tombstones of ports that went.  Where a row
    wants something else by now nothing is said of those that are like it, for
    nobody knows which it was.
    """
    alike: defaultdict[Found, dict[str, Binding | None]] = defaultdict(dict)
    gone: dict[str, Binding | None] = {}
    for each in findings:
        was = known.get(each.interface_uuid)
        if was is None:
            continue
        if was.wanted == GONE and each.found == "missing":
            gone[each.interface_uuid] = None
        elif was.wanted == SERVING and was.plug and each.found != "missing":
            found = Found(each.found, each.carrier, each.reason, was.plug)
            alike[found][each.interface_uuid] = replace(was, **asdict(found))
    done: dict[str, Binding | None] = {}
    for found, bound in alike.items():
        given = {f"new_{key}": value for key, value in asdict(found).items()}
        if _are_all(connection, _CONFIRM, host, bound, **given):
            done |= bound
    if gone and _are_all(connection, _CONFIRM_GONE, host, gone):
        done |= gone
    return done


def _are_all(
    connection: Connection,
    statement: Update | Delete,
    host: str,
    uuids: Iterable[str],
    **given: Any,
) -> bool:
    """Whether a statement was about the rows of all these interfaces."""
    wanted = sorted(uuids)
    given |= {"at": host, "uuids": wanted}
    return connection.execute(statement, given).rowcount == len(wanted)
