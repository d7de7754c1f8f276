"""iptables' tables straight from the kernel, where iptables cannot read them.

iptables-nft keeps its rules in nftables, where anybody may add others.  One
that it does not know (`nft add rule ip filter INPUT ct state ...`) and
iptables-save shows nothing of the whole table, or a part of it, and can end
with success; `iptables-restore` goes on to write.  So who takes what it does
not show for what is not there writes everything again, and again.

What we look for, marks and the chains that rules lead to, stands in the
kernel's answers as it is.  There a rule has a number of its own, by which it
is deleted: iptables finds none by its text in a chain with one that it does
not know.

Nor does iptables-save say that a table is dormant, which is all of its rules
in none of the hooks.

Given up: foreign rules have no text, so that `top_regex` cannot be asked:
those above our jump stay there.
"""

import errno
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from flatnet.apply.filter.guard.nft_batch import transacted
from flatnet.apply.filter.guard.nft_dump import (
    GET_CHAIN,
    GET_RULE,
    GET_TABLE,
    Reading,
    Values,
    read,
    request,
    text,
)
from flatnet.apply.filter.iptables.iptables import PREFIX, Existing, jump_rule
from flatnet.apply.filter.iptables.marks import MARK
from flatnet.apply.netlink import (
    DUMP,
    NETFILTER,
    KeptSocket,
    attributes,
    by_kind,
)
from flatnet.exceptions import HostSetupError

NFT_FAMILIES = {4: "ip", 6: "ip6"}
# From linux/netfilter/nfnetlink.h and nf_tables.h.
_NEW_TABLE, _DELETE_RULE = 0, 8
_TABLE, _CHAIN, _HANDLE = 1, 2, 3
_FLAGS, _DORMANT = 2, 0x1
_EXPRESSIONS = 4
_SECONDS = 5
# What iptables makes its rules of; each of them counts.
_ITS_OWN = frozenset(
    (
        *("bitwise", "cmp", "counter", "immediate", "limit", "log"),
        *("lookup", "match", "meta", "payload", "range", "target"),
    )
)


# What our jumps are made of, and what others begin with.
_JUMP = ["match", "counter", "immediate"]
_EDITED = "edited: "


@dataclass(frozen=True)
class Native:
    """A table; `odd` are (chain, handle) of rules that iptables did not make.

    It may well be that iptables can read some of these.
    """

    existing: Existing = field(default_factory=Existing)
    odd: tuple[tuple[str, int], ...] = ()


def read_native(family: int, name: str) -> Native | None:
    """Return a table of the kernel, none if it does not exist.

    :raises HostSetupError: the kernel does not tell
    """
    asking = KeptSocket(NETFILTER, _SECONDS)
    try:
        return read(asking, (NFT_FAMILIES[family], name), _found)
    finally:
        asking.close()


def dormant_tables(family: int) -> frozenset[str]:
    """Return the names of tables of which no rule is in force.

    :raises HostSetupError: the kernel does not tell
    """
    asking = KeptSocket(NETFILTER, _SECONDS)
    try:
        found = read(asking, (NFT_FAMILIES[family], "*"), _dormant)
    finally:
        asking.close()
    return found or frozenset()


def wake(asking: KeptSocket, family: int, name: str) -> None:
    """Have the rules of a dormant table in force.

    :param asking: a socket of netfilter's
    :raises HostSetupError: the kernel refused
    """
    refused = _sent(
        asking,
        _NEW_TABLE,
        NFT_FAMILIES[family],
        {_TABLE: name.encode() + b"\0", _FLAGS: struct.pack(">I", 0)},
    )
    if refused:
        raise HostSetupError(
            f"table {NFT_FAMILIES[family]} {name} is dormant and stays so: "
            f"{os.strerror(refused)}"
        )


def woken_text(family: int, name: str) -> str:
    """Say what was wrong with a table that was dormant."""
    where = f"{NFT_FAMILIES[family]} {name}"
    return (
        f"table {where} was dormant, so that none of its rules was in force; "
        "they are again. It is nft that makes a table so: add table "
        f"{where} {{ flags dormant; }}"
    )


def is_ours(values: Values) -> bool:
    """Whether a rule of the kernel bears our mark, or leads to ours."""
    parts = _expressions(values)
    return _mark(parts) is not None or _target(parts).startswith(PREFIX)


def marks_in(
    asking: KeptSocket, family: int, name: str, chain: str
) -> list[tuple[int, str | None]]:
    """Return the rules of a chain as (handle, mark); others' have none.

    :param asking: a socket of netfilter's
    :raises HostSetupError: the kernel does not tell
    """

    def look(table: Reading) -> list[tuple[int, str | None]]:
        asked = {**table.table, 2: chain.encode() + b"\0"}
        return [
            (int.from_bytes(values[_HANDLE]), _mark(_expressions(values)))
            for values in table.asked(GET_RULE, DUMP, asked)
        ]

    return read(asking, (NFT_FAMILIES[family], name), look) or []


def odd_text(family: int, name: str, found: Native) -> str:
    """Say what is wrong with a table that iptables cannot read."""
    where = f"{NFT_FAMILIES[family]} {name}"
    rules = ", ".join(
        f"nft delete rule {where} {chain} handle {handle}"
        for chain, handle in found.odd[:3]
    )
    return (
        f"iptables cannot read its table {where}, where somebody has put "
        "rules with nft; the rules of flatnet there are kept without it. Move "
        "what is not of iptables to a table of its own: nft -a list table "
        f"{where}{'; ' * bool(rules)}{rules}"
    )


def delete_rules(
    asking: KeptSocket,
    family: int,
    name: str,
    rules: Iterable[tuple[str, int]],
) -> None:
    """Delete rules of a table by (chain, handle), each that is still there.

    :param asking: a socket of netfilter's
    :raises HostSetupError: the kernel refused
    """
    for chain, handle in rules:
        refused = _sent(
            asking,
            _DELETE_RULE,
            NFT_FAMILIES[family],
            {
                _TABLE: name.encode() + b"\0",
                _CHAIN: chain.encode() + b"\0",
                _HANDLE: struct.pack(">Q", handle),
            },
        )
        if refused not in (0, errno.ENOENT):
            raise HostSetupError(
                f"rule {handle} of chain {chain} in {NFT_FAMILIES[family]} "
                f"{name} cannot be deleted: {os.strerror(refused)}"
            )


def _dormant(tables: Reading) -> frozenset[str]:
    return frozenset(
        text(values[_TABLE])
        for values in tables.asked(GET_TABLE, DUMP, {})
        if int.from_bytes(values.get(_FLAGS, b"")) & _DORMANT
    )


def _found(table: Reading) -> Native:
    # Raises where there is none; the rest would be an empty answer.
    list(table.asked(GET_TABLE, 0, table.table))
    existing = Existing()
    odd = []
    for values in table.mine(GET_CHAIN, {}):
        chain = text(values[3])
        if chain.startswith(PREFIX):
            existing.chains[chain] = []
        elif 4 in values:
            existing.builtins[chain] = []
            existing.handles[chain] = []
    for values in table.mine(GET_RULE, table.table):
        chain, handle = text(values[2]), int.from_bytes(values[_HANDLE])
        parts = _expressions(values)
        if _is_odd({part for part, _ in parts}):
            odd.append((chain, handle))
        _note(existing, chain, handle, parts)
    return Native(existing, tuple(sorted(odd)))


def _is_odd(names: set[str]) -> bool:
    """Whether a rule of these expressions was not made by iptables.

    It counts packets in each of its rules, and nothing else makes those that
    are its own extensions.
    """
    if names & {"match", "target"}:
        return False
    return not names <= _ITS_OWN or "counter" not in names


def _note(
    existing: Existing,
    chain: str,
    handle: int,
    parts: list[tuple[str, Values]],
) -> None:
    mark = _mark(parts)
    target = _target(parts)
    if chain in existing.chains:
        existing.chains[chain].append(mark)
    elif chain in existing.builtins:
        ours = mark is not None or target.startswith(PREFIX)
        is_plain = [part for part, _ in parts] == _JUMP
        rule = jump_rule(target, mark or "") if ours else ""
        if ours and not is_plain:
            rule = f"{_EDITED}{rule}"
        existing.builtins[chain].append(rule)
        existing.handles[chain].append(handle)
    elif target.startswith(PREFIX):
        existing.referenced.add(target)


def _expressions(values: Values) -> list[tuple[str, Values]]:
    """What a rule is made of, as (name, attributes)."""
    found = []
    for _, element in attributes(values.get(_EXPRESSIONS, b"")):
        parts = by_kind(element)
        found.append((text(parts[1]), by_kind(parts.get(2, b""))))
    return found


def _mark(parts: list[tuple[str, Values]]) -> str | None:
    """The mark in a comment of iptables, which is one of its matches."""
    for name, values in parts:
        if name == "match" and text(values[1]) == "comment":
            comment = values[3].partition(b"\0")[0].decode(errors="replace")
            found = MARK.fullmatch(comment)
            return found[1] if found else None
    return None


def _target(parts: list[tuple[str, Values]]) -> str:
    """The chain that a rule leads to, or nothing."""
    for name, values in parts:
        if name == "immediate":
            verdict = by_kind(values.get(2, b"")).get(2, b"")
            return text(by_kind(verdict).get(2, b""))
    return ""


def _sent(asking: KeptSocket, kind: int, family: str, asked: Values) -> int:
    """Have the kernel do something; return the error's number, or 0."""
    with asking.lent() as kernel:
        return transacted(kernel, kind, request(family, asked))
