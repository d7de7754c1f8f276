"""nftables tables as values: compared by marks, written as one transaction.

A rule is never parsed.  Each carries a mark in its comment, a hash of its
text and place; a table whose chains and marks are not exactly those wanted
(flushed, edited, of an older version) is replaced whole, and in a table
that is whole only the set elements that differ are written.

Given up: a foreign hand that replaces a rule and keeps its comment is not
noticed.
"""

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flatnet.exceptions import HostSetupError

SECONDS = 60
# Not the `@th,64,128` of a raw payload.
_SET_NAME = re.compile(r"@([a-z][a-z0-9_]*)(?![a-z0-9_,])")

Element = tuple[str, ...]


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

    An element is the parts of its key as nft prints them; a device's name
    comes first.
    """

    name: str
    key: str
    elements: frozenset[Element]


@dataclass(frozen=True)
class Table:
    """A table that is ours as a whole."""

    family: str
    name: str
    chains: tuple[Chain, ...]
    sets: tuple[Set, ...] = ()


@dataclass(frozen=True)
class Found:
    """A table as the kernel has it: its outline, and what its sets hold."""

    outline: frozenset[tuple[Any, ...]]
    elements: dict[str, frozenset[Element]]


def set_names(chains: Iterable[Chain]) -> frozenset[str]:
    """Return the names of the sets that these chains look up."""
    return frozenset(
        name
        for chain in chains
        for rule in chain.rules
        for name in _SET_NAME.findall(rule)
    )


def read(family: str, name: str) -> Found | None:
    """Return a table of the kernel, none if it does not exist.

    :raises HostSetupError: nft cannot tell
    """
    done = _nft("-j", "list", "table", family, name)
    if done.returncode:
        if "No such file or directory" in done.stderr:
            return None
        raise HostSetupError(f"nft cannot list: {_line(done.stderr)}")
    return found(json.loads(done.stdout))


def write(text: str) -> None:
    """Have nft do all of `text`, or nothing of it.

    :raises HostSetupError: nft refused, and so nothing was changed
    """
    done = _nft("-f", "-", text=text)
    if done.returncode:
        raise HostSetupError(f"nft refused: {_line(done.stderr)}")


def outline(table: Table) -> frozenset[tuple[Any, ...]]:
    """Return all of a table but its elements, as `found` gives it."""
    entries: set[tuple[Any, ...]] = {("set", each.name) for each in table.sets}
    for chain in table.chains:
        base = ("filter", chain.hook, chain.priority, "accept")
        entries.add(("chain", chain.name, *(base if chain.hook else ())))
        for place, rule in enumerate(chain.rules):
            entries.add(("rule", chain.name, place, mark(chain, rule)))
    return frozenset(entries)


def found(listing: dict[str, Any]) -> Found:
    """Return the table that `nft -j list table` printed."""
    entries: set[tuple[Any, ...]] = set()
    elements: dict[str, frozenset[Element]] = {}
    places: dict[str, int] = {}
    for item in listing["nftables"]:
        ((kind, value),) = item.items()
        if kind == "table" and "flags" in value:
            entries.add(("flags", str(value["flags"])))
        elif kind == "chain":
            base = [value.get(key) for key in ("type", "hook", "prio")]
            extra = (*base, value.get("policy")) if "hook" in value else ()
            entries.add(("chain", value["name"], *extra))
        elif kind == "rule":
            name = value["chain"]
            place = places[name] = places.get(name, -1) + 1
            entries.add(("rule", name, place, value.get("comment")))
        elif kind == "set":
            entries.add(("set", value["name"]))
            held = value.get("elem", [])
            if any("elem" in each for each in held if type(each) is dict):
                # With a timeout or a comment, neither of which is ours.
                entries.add(("foreign element", value["name"]))
                held = []
            elements[value["name"]] = frozenset(map(_element, held))
        elif kind not in ("metainfo", "table"):
            entries.add((kind, str(value.get("name"))))
    return Found(frozenset(entries), elements)


def mark(chain: Chain, rule: str) -> str:
    """Return the comment that a rule of ours carries."""
    text = f"{chain.name}\n{rule}".encode()
    return f"flatnet:{hashlib.sha256(text).hexdigest()[:12]}"


def replacement(table: Table) -> str:
    """Return the text that puts `table` where there may be another.

    Without a gap: packets meet the old one or the new one.
    """
    name = f"table {table.family} {table.name}"
    lines = [f"add {name}", f"delete {name}", f"{name} {{"]
    for each in table.sets:
        held = _elements_text(each, each.elements)
        elements = f"; elements = {held}" if each.elements else ""
        lines.append(f" set {each.name} {{ {each.key}{elements}; }}")
    for chain in table.chains:
        lines.append(f" chain {chain.name} {{")
        if chain.hook:
            lines.append(
                f"  type filter hook {chain.hook} priority "
                f"{chain.priority}; policy accept;"
            )
        lines += [
            f'  {rule} comment "{mark(chain, rule)}"' for rule in chain.rules
        ]
        lines.append(" }")
    return "\n".join([*lines, "}", ""])


def amendment(
    table: Table, elements: dict[str, frozenset[Element]]
) -> tuple[str, tuple[str, ...]]:
    """Return the text that mends the sets, and what it does to each.

    `elements` is what the sets hold now.
    """
    lines, told = [], []
    for each in table.sets:
        new = each.elements - elements[each.name]
        old = elements[each.name] - each.elements
        for verb, those in (("delete", old), ("add", new)):
            if those:
                lines.append(
                    f"{verb} element {table.family} {table.name} "
                    f"{each.name} {_elements_text(each, those)}\n"
                )
        if new or old:
            told.append(f"{each.name} +{len(new)} -{len(old)}")
    return "".join(lines), tuple(told)


def _elements_text(each: Set, elements: frozenset[Element]) -> str:
    texts = []
    for element in sorted(elements):
        parts = list(element)
        if "ifname" in each.key:
            parts[0] = f'"{parts[0]}"'
        texts.append(" . ".join(parts))
    return f"{{ {', '.join(texts)} }}"


def _element(value: Any) -> Element:
    parts = value["concat"] if isinstance(value, dict) else [value]
    return tuple(str(part) for part in parts)


def _nft(
    *arguments: str, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["nft", *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError as error:
        raise HostSetupError("nft is missing: install nftables") from error
    except subprocess.TimeoutExpired as error:
        raise HostSetupError(
            f"nft did not end within {SECONDS} seconds"
        ) from error


def _line(text: str) -> str:
    return text.strip().partition("\n")[0] or "it does not say why"
