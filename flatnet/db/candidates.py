"""Which rows of `fixed_ips` whoever chooses an address has to know.

Those of addresses that are named, of the next ones, and of a host's bridges.
A statement for so many networks is composed once.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    and_,
    bindparam,
    or_,
    select,
    union_all,
)

from flatnet.db import models, ranges
from flatnet.db.models import AnyRow

FIXED_IPS = models.fixed_ips
# What a pool is to know of an address.
COLUMNS = (
    FIXED_IPS.c.id,
    FIXED_IPS.c.network_id,
    FIXED_IPS.c.position,
    FIXED_IPS.c.address,
    FIXED_IPS.c.instance_uuid,
    FIXED_IPS.c.host,
    FIXED_IPS.c.reserved,
    FIXED_IPS.c.reason,
)
# Positions that are looked at by one statement.
CHUNK = 256
_REMEMBERED = 64


@dataclass(frozen=True)
class Asked:
    """What of a network's pool is needed.

    The rows of these addresses, and at most so many of the next ones.
    """

    network: AnyRow
    addresses: frozenset[str] = frozenset()
    number: int = 0

    @property
    def candidates(self) -> int:
        """How many next ones to find: each one named may be among them."""
        return self.number + len(self.addresses) if self.number else 0


@lru_cache(_REMEMBERED)
def rows(number: int) -> CompoundSelect[Any]:
    """Return a statement for COLUMNS of so many networks, above zero."""
    chosen = conditions(number)
    return union_all(*(select(*COLUMNS).where(each) for each in chosen))


def conditions(number: int) -> tuple[ColumnElement[bool], ...]:
    """What rows of so many networks are; none for no network.

    Apart, for each has an index of its own.
    """
    return (_among(number), _of_bridges()) if number else ()


def _among(number: int) -> ColumnElement[bool]:
    """That a row is one of the named or of the next of so many networks."""
    return or_(
        *(
            and_(
                FIXED_IPS.c.network_id == bindparam(f"network_{each}"),
                or_(
                    FIXED_IPS.c.position.in_(
                        bindparam(f"named_{each}", expanding=True)
                    ),
                    FIXED_IPS.c.position.between(
                        bindparam(f"first_{each}"), bindparam(f"last_{each}")
                    ),
                ),
            )
            for each in range(number)
        )
    )


def _of_bridges() -> ColumnElement[bool]:
    """That a row is that of a host's bridge in one of the networks."""
    return and_(
        FIXED_IPS.c.network_id.in_(bindparam("networks", expanding=True)),
        FIXED_IPS.c.host == bindparam("at"),
    )


def parameters(asked: Sequence[Asked], host: str | None) -> dict[str, Any]:
    """Return what `conditions` take for what is asked."""
    given: dict[str, Any] = {
        "networks": [each.network.id for each in asked],
        "at": host,
    }
    for number, each in enumerate(asked):
        first = int(each.network.next_position)
        length = CHUNK if each.number else 0
        given |= {
            f"network_{number}": each.network.id,
            f"named_{number}": _positions(each),
            f"first_{number}": first,
            f"last_{number}": first + length - 1,
        }
    return given


def _positions(asked: Asked) -> list[int]:
    cidr = asked.network.cidr
    found = set()
    for each in asked.addresses:
        # What is no address is told to who asked for it, not to the others.
        with suppress(AddressValueError):
            found.add(ranges.position(cidr, each))
    return sorted(each for each in found if 0 <= each < ranges.size(cidr))
