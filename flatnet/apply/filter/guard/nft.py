"""nftables tables as values: compared by marks, written as one transaction.

A rule is never parsed.  Each carries a mark in its comment, a hash of its
text and place; a table whose chains and marks are not exactly those wanted
(flushed, edited, of an older version) is replaced whole, and in a table
that is whole only the set elements that differ are written.  What the kernel
makes of our rules nobody can tell but it: what it made of them is told by a
digest, which is to stay the same (`digests`).

Given up: where others wrote while a table of ours was written, nobody knows
what was made of it, and what is read next is taken for that.
"""

import hashlib
import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from flatnet.apply.filter.guard import nft_keys
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.guard.nft_dump import TableDump, dump
from flatnet.apply.filter.guard.nft_keys import Element

# Outlines of a guard's tables, and of some that were.
_REMEMBERED = 16
# Not the `@th,64,128` of a raw payload.
_SET_NAME = re.compile(r"@([a-z][a-z0-9_]*)(?![a-z0-9_,])")


@dataclass(frozen=True)
class NftChain:
    """A chain; with a hook and its priority it is a base chain."""

    name: str
    rules: tuple[str, ...]
    hook: str = ""
    priority: int = 0


@dataclass(frozen=True)
class Set:
    """A named set; `key` is its type line, such as `type ifname`.

    What is in a dynamic one is the kernel's business.  `elements` may be
    another's, who goes on changing them: they are for the pass at hand.
    """

    name: str
    key: str
    elements: AbstractSet[Element] = field(default=frozenset(), hash=False)

    @property
    def is_dynamic(self) -> bool:
        """Whether rules fill it, or what is in it ends by itself."""
        return "flags " in self.key

    @property
    def is_kept(self) -> bool:
        """Whether what is in it outlives the table's replacement."""
        return "flags timeout" in self.key


@dataclass(frozen=True)
class NftTable:
    """A table that is ours as a whole."""

    family: str
    name: str
    chains: tuple[NftChain, ...]
    sets: tuple[Set, ...] = ()


@dataclass(frozen=True)
class FoundTable:
    """A table as the kernel has it: its outline, and what its sets hold.

    `odd` are sets with elements that no plan has; `digest` tells the rules
    themselves from any others.  Elements are kept up as they are written
    (`set_repairs`).
    """

    layout: frozenset[tuple[Any, ...]]
    elements: dict[str, set[bytes]]
    odd: frozenset[str] = frozenset()
    digest: str = ""


@lru_cache(_REMEMBERED)
def set_names(chains: Iterable[NftChain]) -> frozenset[str]:
    """Return the names of the sets that these chains look up."""
    return frozenset(
        name
        for chain in chains
        for rule in chain.rules
        for name in _SET_NAME.findall(rule)
    )


def read(session: Session, family: str, name: str) -> FoundTable | None:
    """Return a table of the kernel, none if it does not exist.

    :raises HostSetupError: the kernel cannot tell
    """
    present = dump(session.proven.asking, family, name)
    if present is None:
        session.lost((family, name))
        return None
    return found(present)


def layout(table: NftTable) -> frozenset[tuple[Any, ...]]:
    """Return all of a table but its elements, as `found` gives it."""
    keys = tuple((each.name, each.key) for each in table.sets)
    return _chain_layout(table.chains, keys)


@lru_cache(_REMEMBERED)
def _chain_layout(
    chains: tuple[NftChain, ...], keys: tuple[tuple[str, str], ...]
) -> frozenset[tuple[Any, ...]]:
    entries: set[tuple[Any, ...]] = {("set", name) for name, _ in keys}
    for chain in chains:
        base = ("filter", chain.hook, chain.priority, "accept")
        entries.add(("chain", chain.name, *(base if chain.hook else ())))
        for place, rule in enumerate(chain.rules):
            entries.add(("rule", chain.name, place, _mark(chain, rule, keys)))
    return frozenset(entries)


def found(present: TableDump) -> FoundTable:
    """Return what a table of the kernel is, to be compared."""
    entries: set[tuple[Any, ...]] = {("set", name) for name in present.sets}
    if present.is_dormant:
        entries.add(("flags", "dormant"))
    for name, base in present.chains.items():
        entries.add(("chain", name, *base))
        for place, comment in enumerate(present.rules[name]):
            entries.add(("rule", name, place, comment))
    return FoundTable(
        frozenset(entries),
        {
            name: {key for key, _ in elements}
            for name, elements in present.sets.items()
        },
        frozenset(
            name
            for name, elements in present.sets.items()
            if not all(is_plain for _, is_plain in elements)
        ),
        hashlib.sha256(b"\n".join(present.bodies)).hexdigest(),
    )


def matches(table: NftTable, present: FoundTable) -> bool:
    """Whether a table of the kernel is ours in all but its elements."""
    plain = {each.name for each in table.sets if not each.is_dynamic}
    return present.layout == layout(table) and not plain & present.odd


def mark(table: NftTable, chain: NftChain, rule: str) -> str:
    """Return the comment that a rule of ours carries.

    It stands for the rule's text, its place, and the sets that it names.
    """
    keys = tuple((each.name, each.key) for each in table.sets)
    return _mark(chain, rule, keys)


def _mark(
    chain: NftChain, rule: str, keys: tuple[tuple[str, str], ...]
) -> str:
    named = set(_SET_NAME.findall(rule))
    lines = sorted(f"{name} {key}" for name, key in keys if name in named)
    text = "\n".join((chain.name, rule, *lines)).encode()
    return f"flatnet:{hashlib.sha256(text).hexdigest()[:12]}"


def replacement(table: NftTable, present: FoundTable | None) -> str:
    """Return the text that makes a table, which exists, hold just ours.

    Without a gap: packets meet the old rules or the new ones.
    """
    name = f"{table.family} {table.name}"
    lines = [] if present is None else _clearing(name, present)
    for each in table.sets:
        elements = each.elements | _kept(each, present)
        held = elements_text(each.key, elements)
        filling = f"; elements = {held}" if elements else ""
        kind = "map" if nft_keys.value_size(each.key) else "set"
        described = f"{{ {each.key}{filling}; }}"
        lines.append(f"add {kind} {name} {each.name} {described}")
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


def _kept(each: Set, present: FoundTable | None) -> frozenset[Element]:
    """What the table that is replaced has in a set that is kept."""
    if present is None or not each.is_kept:
        return frozenset()
    keys = present.elements.get(each.name, set())
    return frozenset(nft_keys.decoded(each.key, key) for key in keys)


def _clearing(name: str, present: FoundTable) -> list[str]:
    """The lines that empty a table; chains first, for they name the rest."""
    things = sorted(
        {
            (entry[0] != "chain", entry[0], entry[1])
            for entry in present.layout
            if entry[0] not in ("rule", "flags")
        }
    )
    return [
        f"flush table {name}",
        *(f"delete {kind} {name} {each}" for _, kind, each in things),
    ]


def elements_text(key: str, elements: Iterable[Element]) -> str:
    """Return elements of a type line as nft reads them."""
    texts = (nft_keys.text(key, each) for each in sorted(elements))
    return f"{{ {', '.join(texts)} }}"
