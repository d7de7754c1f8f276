"""What mends the sets of a table that is whole: elements that differ."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import replace

from flatnet.apply.filter.guard import nft_keys
from flatnet.apply.filter.guard.nft import (
    FoundTable,
    NftTable,
    Set,
    elements_text,
)
from flatnet.apply.filter.guard.nft_elements import Change
from flatnet.apply.filter.guard.nft_keys import Element


def amendment(
    table: NftTable, wanted: Set, held: AbstractSet[bytes]
) -> tuple[Change, ...]:
    """Return what mends a set; `held` is what it holds now."""
    if wanted.is_dynamic:
        return ()
    keys = nft_keys.by_key(wanted.key, wanted.elements)
    if keys.keys() == held:
        return ()
    gone = held - keys.keys()
    return (
        _change(
            table,
            wanted,
            frozenset(keys[key] for key in keys.keys() - held),
            frozenset(nft_keys.decoded(wanted.key, key) for key in gone),
        ),
    )


def change(
    table: NftTable,
    wanted: Set,
    held: AbstractSet[bytes],
    moved: Iterable[Element],
) -> tuple[Change, ...]:
    """Return the same as `amendment`, of a set that was as it was planned.

    :param moved: all elements that it was not planned to hold then and is
        now, or the other way round, and perhaps others
    """
    keys = {nft_keys.encoded(wanted.key, each): each for each in moved}
    here = {key for key, each in keys.items() if each in wanted.elements}
    gone = (keys.keys() - here) & held
    if here <= held and not gone:
        return ()
    return (
        _change(
            table,
            wanted,
            frozenset(keys[key] for key in here - held),
            frozenset(keys[key] for key in gone),
        ),
    )


def _change(
    table: NftTable,
    wanted: Set,
    added: frozenset[Element],
    removed: frozenset[Element],
) -> Change:
    return Change(
        family=table.family,
        table=table.name,
        set=wanted.name,
        key=wanted.key,
        added=added,
        removed=removed,
    )


def text(changes: Iterable[Change]) -> str:
    """Return the text that does it, beside a table that is replaced."""
    return "".join(
        f"{verb} element {each.family} {each.table} {each.set} "
        f"{elements_text(each.key, elements)}\n"
        for each in changes
        for verb, elements in (("delete", each.removed), ("add", each.added))
        if elements
    )


def amended(present: FoundTable, changes: Iterable[Change]) -> FoundTable:
    """Return what a table will be once it is amended by these."""
    held = {name: set(keys) for name, keys in present.elements.items()}
    found = replace(present, elements=held)
    amend(found, changes)
    return found


def amend(present: FoundTable, changes: Iterable[Change]) -> None:
    """Note in what a table is that it was amended by these.

    In place: a set of the guard may hold thousands, of which few are moved.
    """
    for each in changes:
        held = present.elements[each.set]
        for element in each.removed:
            held.discard(nft_keys.encoded(each.key, element))
        for element in each.added:
            held.add(nft_keys.encoded(each.key, element))
