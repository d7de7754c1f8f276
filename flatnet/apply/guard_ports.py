"""What the guard's sets get and lose with single ports.

Nearly all that a port has in them bears its name, so that who comes or goes
changes a few elements and needs nothing of the others.  Its addresses and its
MAC stand there without a name too, in the sets of all guests and in those of
what nobody beyond an uplink may claim: who has one twice, which no plan does,
is for `apply_guard`, which looks at everything.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from flatnet.apply.guard import FAMILIES, TABLE, guard_tables, set_elements
from flatnet.apply.members import Members
from flatnet.apply.nft_elements import Change
from flatnet.state import Guard, GuardedPort


def port_changes(
    guard: Guard,
    *,
    dropped: Iterable[GuardedPort] = (),
    put: Iterable[GuardedPort] = (),
) -> tuple[Change, ...]:
    """Return what becomes of tables that are whole, for `write_elements`.

    A port that changed is dropped as it was and put as it is.

    :param guard: its modes count, and no port or network of it
    """
    bare = replace(guard, ports=(), networks=())
    old, new = (
        set_elements(replace(bare, ports=tuple(ports)), Members())
        for ports in (dropped, put)
    )
    return tuple(
        Change(
            family=family,
            table=TABLE,
            set=name,
            key=key,
            added=new[name] - old[name],
            removed=old[name] - new[name],
        )
        for family, name, key in _places(bare)
        if new[name] != old[name]
    )


@lru_cache(8)
def _places(bare: Guard) -> tuple[tuple[str, str, str], ...]:
    """The sets (family, name, key) that a guard of these modes has."""
    held = set_elements(bare, Members())
    return tuple(
        (family, each.name, each.key)
        for family, table in zip(
            FAMILIES, guard_tables(bare, Members()), strict=True
        )
        for each in table.sets
        if each.name in held
    )
