"""nftables tables as values: compared by marks, written as one transaction.

A rule is never parsed.  Each carries a mark in its comment, a hash of its
text and place; a table whose chains and marks are not exactly those wanted
(flushed, edited, of an older version) is replaced whole, and in a table
that is whole only the set elements that differ are written.  What the kernel
makes of our rules nobody can tell but it: what it made of them is told by a
digest, which is to stay the same.

Given up: a foreign hand that replaces a rule and keeps its comment is not
noticed by who has not written the table himself, or seen it before.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from flatnet.apply.filter.guard import nft_keys
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.guard.nft_dump import Dump, dump
from flatnet.apply.filter.guard.nft_elements import Change
from flatnet.apply.filter.guard.nft_keys import Element

# Not the `@th,64,128` of a raw payload.
_SET_NAME = re.compile(r"@([a-z][a-z0-9_]*)(?![a-z0-9_,])")


@dataclass(frozen=True)
class Chain:
    """A chain; with a hook and its priority it is a base chain."""

    name: str
    rules: tuple[str, ...]
    hook: str = ""
    priority: int = 0


@dataclass(frozen=True)
class Set:
    """A named set; `key` is its type line, such as `type ifname`.

    What is in a dynamic one is the kernel's business.
    """

    name: str
    key: str
    elements: frozenset[Element] = frozenset()

    @property
    def is_dynamic(self) -> bool:
        """Whether rules fill it, or what is in it ends by itself."""
        return "flags " in self.key

    @property
    def is_kept(self) -> bool:
        """Whether what is in it outlives the table's replacement."""
        return "flags timeout" in self.key


@dataclass(frozen=True)
class Table:
    """A table that is ours as a whole."""

    family: str
    name: str
    chains: tuple[Chain, ...]
    sets: tuple[Set, ...] = ()


@dataclass(frozen=True)
class Found:
    """A table as the kernel has it: its outline, and what its sets hold.

    `odd` are sets with elements that no plan has; `digest` tells the rules
    themselves from any others.
    """

    outline: frozenset[tuple[Any, ...]]
    elements: dict[str, frozenset[bytes]]
    odd: frozenset[str] = frozenset()
    digest: str = ""


def set_names(chains: Iterable[Chain]) -> frozenset[str]:
    """Return the names of the sets that these chains look up."""
    return frozenset(
        name
        for chain in chains
        for rule in chain.rules
        for name in _SET_NAME.findall(rule)
    )


def read(session: Session, family: str, name: str) -> Found | None:
    """Return a table of the kernel, none if it does not exist.

    :raises HostSetupError: the kernel cannot tell
    """
    present = dump(session.proven.asking, family, name)
    if present is None:
        session.lost((family, name))
        return None
    return found(present)


def outline(table: Table) -> frozenset[tuple[Any, ...]]:
    """Return all of a table but its elements, as `found` gives it."""
    entries: set[tuple[Any, ...]] = {("set", each.name) for each in table.sets}
    for chain in table.chains:
        base = ("filter", chain.hook, chain.priority, "accept")
        entries.add(("chain", chain.name, *(base if chain.hook else ())))
        for place, rule in enumerate(chain.rules):
            entries.add(("rule", chain.name, place, mark(table, chain, rule)))
    return frozenset(entries)


def found(present: Dump) -> Found:
    """Return what a table of the kernel is, to be compared."""
    entries: set[tuple[Any, ...]] = {("set", name) for name in present.sets}
    if present.is_dormant:
        entries.add(("flags", "dormant"))
    for name, base in present.chains.items():
        entries.add(("chain", name, *base))
        for place, comment in enumerate(present.rules[name]):
            entries.add(("rule", name, place, comment))
    return Found(
        frozenset(entries),
        {
            name: frozenset(key for key, _ in elements)
            for name, elements in present.sets.items()
        },
        frozenset(
            name
            for name, elements in present.sets.items()
            if not all(is_plain for _, is_plain in elements)
        ),
        hashlib.sha256(b"\n".join(present.bodies)).hexdigest(),
    )


def matches(table: Table, present: Found) -> bool:
    """Whether a table of the kernel is ours in all but its elements."""
    plain = {each.name for each in table.sets if not each.is_dynamic}
    return present.outline == outline(table) and not plain & present.odd


def mark(table: Table, chain: Chain, rule: str) -> str:
    """Return the comment that a rule of ours carries.

    It stands for the rule's text, its place, and the sets that it names.
    """
    named = set(_SET_NAME.findall(rule))
    keys = sorted(
        f"{each.name} {each.key}" for each in table.sets if each.name in named
    )
    text = "\n".join((chain.name, rule, *keys)).encode()
    return f"flatnet:{hashlib.sha256(text).hexdigest()[:12]}"


def replacement(table: Table, present: Found | None) -> str:
    """Return the text that makes a table, which exists, hold just ours.

    Without a gap: packets meet the old rules or the new ones.
    """
    name = f"{table.family} {table.name}"
    lines = [] if present is None else _clearing(name, present)
    for each in table.sets:
        elements = each.elements | _kept(each, present)
        held = _elements_text(each, elements)
        elements_text = f"; elements = {held}" if elements else ""
        lines.append(
            f"add set {name} {each.name} {{ {each.key}{elements_text}; }}"
        )
    for chain in table.chains:
        base = (
            f" {{ type filter hook {chain.hook} priority {chain.priority}; "
            "policy accept; }"
        )
        lines.append(f"add chain {name} {chain.name}{base * bool(chain.hook)}")
    lines += [
        f"add rule {name} {chain.name} {rule} "
        f'comment "{mark(table, chain, rule)}"'
        for chain in table.chains
        for rule in chain.rules
    ]
    return "\n".join([*lines, ""])


def _kept(each: Set, present: Found | None) -> frozenset[Element]:
    """What the table that is replaced has in a set that is kept."""
    if present is None or not each.is_kept:
        return frozenset()
    keys = present.elements.get(each.name, frozenset())
    return frozenset(nft_keys.decoded(each.key, key) for key in keys)


def _clearing(name: str, present: Found) -> list[str]:
    """The lines that empty a table; chains first, for they name the rest."""
    things = sorted(
        {
            (entry[0] != "chain", entry[0], entry[1])
            for entry in present.outline
            if entry[0] not in ("rule", "flags")
        }
    )
    return [
        f"flush table {name}",
        *(f"delete {kind} {name} {each}" for _, kind, each in things),
    ]


def amendment(
    table: Table, wanted: Set, held: frozenset[bytes]
) -> tuple[Change, ...]:
    """Return what mends a set; `held` is what it holds now."""
    if wanted.is_dynamic:
        return ()
    keys = {nft_keys.encoded(wanted.key, e): e for e in wanted.elements}
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


def change(table: Table, before: Set, wanted: Set) -> Change:
    """Return what makes a set of what it was planned to be before."""
    return _change(
        table,
        wanted,
        wanted.elements - before.elements,
        before.elements - wanted.elements,
    )


def _change(
    table: Table,
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


def amendment_text(changes: Iterable[Change]) -> str:
    """Return the text that does it, beside a table that is replaced."""
    return "".join(
        f"{verb} element {each.family} {each.table} {each.set} "
        f"{_elements_text(each, elements)}\n"
        for each in changes
        for verb, elements in (("delete", each.removed), ("add", each.added))
        if elements
    )


def amended(present: Found, changes: Iterable[Change]) -> Found:
    """Return what a table is once it was amended by these."""
    held = dict(present.elements)
    for each in changes:
        added, removed = (
            {nft_keys.encoded(each.key, element) for element in elements}
            for elements in (each.added, each.removed)
        )
        held[each.set] = (held[each.set] - removed) | added
    return replace(present, elements=held)


def _elements_text(each: Set | Change, elements: Iterable[Element]) -> str:
    texts = (nft_keys.text(each.key, element) for element in sorted(elements))
    return f"{{ {', '.join(texts)} }}"
