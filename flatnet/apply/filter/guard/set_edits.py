"""Writes to the sets of tables that are whole, and whose addresses move."""

from collections.abc import Callable, Hashable

from flatnet.apply.filter.guard import nft, set_repairs
from flatnet.apply.filter.guard.handovers import Handovers, Wanted, without
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.guard.nft_batch import OutdatedError
from flatnet.apply.filter.guard.nft_elements import write_elements
from flatnet.state.effects import Effect, Surface, Verb

Present = dict[nft.NftTable, nft.FoundTable]


def mend_sets(
    session: Session,
    found: Present,
    changes: Callable[[], Wanted],
    handovers: Handovers,
) -> tuple[Effect, ...]:
    """Write what differs, and first of all what leaves; return what was done.

    :param found: the tables as they are, which is amended
    :param changes: what mends them as they are by then
    :raises OutdatedError: they may be something else by now
    """
    wanted = changes()
    handovers.note(wanted)
    made: tuple[Effect, ...] = ()
    while coming := handovers.coming(wanted, found):
        made += _write(session, found, without(wanted, coming))
        handovers.ask(coming)
        wanted = changes()
    return made + _write(session, found, handovers.without_kept(wanted))


def table_key(family: str) -> Hashable:
    """Return what a family's table is known by, where that is proven."""
    return ("guard", family)


def _write(
    session: Session, found: Present, changes: Wanted
) -> tuple[Effect, ...]:
    wanted = [
        each
        for those in changes.values()
        for each in those
        if each.added or each.removed
    ]
    if wanted:
        before = session.proven.at(table_key(each.family) for each in found)
        if before is None:
            raise OutdatedError
        after = write_elements(session, wanted, before)
        for table, present in found.items():
            set_repairs.amend(present, changes[table])
        session.proven.wrote(before, after)
    # The same ports stand in all tables; once is enough for the log.
    return tuple(
        Effect(
            Surface.GUARD,
            Verb.CHANGED,
            each.set,
            f"+{len(each.added)} -{len(each.removed)}",
        )
        for each in wanted
        if each.family == "bridge"
    )
