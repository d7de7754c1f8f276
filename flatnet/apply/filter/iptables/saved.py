"""What the kernel has of iptables' tables, also where iptables cannot say.

Unreadable is not empty: a table that exists and that iptables-save does not
show is read from the kernel (see `kernel_tables`), and told of.

What is written is not in force: a dormant table prints the same text, so it
counts as empty until it was woken.
"""

import contextlib
import os
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import partial

from flatnet.apply.command import resolved, run
from flatnet.apply.files import read_setting
from flatnet.apply.filter.iptables.iptables import (
    BUILTINS,
    COMMANDS,
    PREFIX,
    TARGET,
    Existing,
)
from flatnet.apply.filter.iptables.kernel_tables import (
    dormant_tables,
    odd_text,
    read_native,
    wake,
    woken_text,
)
from flatnet.apply.filter.iptables.marks import mark_of
from flatnet.apply.filter.nft_proof import Proven
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import Changes, Failure
from flatnet.state.effects import Subject, Surface


@dataclass(frozen=True)
class Saved:
    """The tables of a family by name, and what to say of some of them.

    `dormant` is what is in those that are, which have nothing in `tables`;
    `woken` names those that were until now.
    """

    tables: dict[str, Existing]
    warnings: dict[str, str] = field(default_factory=dict)
    dormant: dict[str, Existing] = field(default_factory=dict)
    woken: frozenset[str] = frozenset()


def read_tables(family: int) -> Saved:
    """Return what the kernel has in force.

    :raises HostSetupError: nobody can tell; that is not the same as nothing
    """
    command = COMMANDS[family]
    outcome = run(f"{command}-save")
    error = f"{command}-save: {outcome.error or 'failed'}"
    if not outcome.status:
        tables = _parsed(outcome.output)
    elif is_legacy(family):
        raise HostSetupError(error)
    else:
        tables = {}
    if is_legacy(family):
        return Saved(tables)
    warnings = {}
    for name in sorted(BUILTINS.keys() - tables.keys()):
        found = read_native(family, name)
        if found is None:
            continue
        tables[name] = found.existing
        if found.odd or "incompatible" in outcome.output:
            warnings[name] = odd_text(family, name, found)
    if outcome.status and not tables:
        raise HostSetupError(error)
    if outcome.status and not warnings:
        warnings = dict.fromkeys(tables, error)
    dormant = {
        name: tables[name] for name in tables.keys() & dormant_tables(family)
    }
    return Saved(
        {**tables, **dict.fromkeys(dormant, Existing())}, warnings, dormant
    )


def _parsed(save: str) -> dict[str, Existing]:
    """Return what the output of iptables-save says, by table name.

    A foreign comment may be of several lines, whatever these look like, and
    of characters that end lines elsewhere.
    """
    tables: dict[str, Existing] = {}
    table = Existing()
    are_rules = False
    for line in save.split("\n"):
        if line.startswith("-A "):
            are_rules = True
            name, _, rule = line[3:].partition(" ")
            _note_rule(table, name, rule)
        elif line == "COMMIT":
            are_rules = False
        elif line.startswith("*") and not are_rules:
            table = tables.setdefault(line[1:], Existing())
        elif line.startswith(":") and not are_rules:
            _note_chain(table, *line[1:].split(" ")[:2])
    return tables


def _note_chain(table: Existing, name: str, policy: str) -> None:
    if name.startswith(PREFIX):
        table.chains[name] = []
        table.texts[name] = []
    elif policy != "-":
        table.builtins[name] = []


def _note_rule(table: Existing, name: str, rule: str) -> None:
    if name in table.chains:
        table.chains[name].append(mark_of(rule))
        table.texts[name].append(rule)
    elif name in table.builtins:
        table.builtins[name].append(rule)
    else:
        table.referenced.update(TARGET.findall(rule))


def known_tables(
    family: int, proven: Proven, planned: frozenset[str]
) -> Saved:
    """Return what the kernel has, from memory where that is proven.

    A dormant table is woken where something is planned in it, or there is
    anything of ours; who made another one so meant it.

    :param planned: the names of tables
    :raises HostSetupError: nobody can tell, or a table stays dormant
    """
    if is_legacy(family):
        return read_tables(family)

    def known() -> Saved:
        return proven.read(tables_key(family), lambda: read_tables(family))

    saved = known()
    woken = _to_wake(saved, planned)
    if not woken:
        return saved
    with proven.writing({tables_key(family): None}):
        for name in sorted(woken):
            wake(proven.asking, family, name)
    saved = known()
    if again := _to_wake(saved, planned):
        raise HostSetupError(
            f"nftables table {min(again)} of {COMMANDS[family]} does not stay "
            "awake: somebody makes it dormant all the time"
        )
    told = {
        name: "; ".join(
            filter(None, (woken_text(family, name), saved.warnings.get(name)))
        )
        for name in woken
    }
    return replace(saved, warnings={**saved.warnings, **told}, woken=woken)


@dataclass(frozen=True)
class Readable:
    """The tables of a family, or why nobody can tell."""

    saved: Saved
    error: str = ""


def readable(family: int, proven: Proven, planned: frozenset[str]) -> Readable:
    """Return what `known_tables` does, or its error."""
    try:
        return Readable(known_tables(family, proven, planned))
    except HostSetupError as error:
        return Readable(Saved({}), str(error))


def read_back(proven: Proven, unread: set[int]) -> None:
    """Read what iptables has made of our transactions, while nobody waits.

    Else the next pass would, whatever it is about.

    :param unread: the families that were written; nobody is left in it
    """
    _read_each(unread, proven.read)


def confirm(proven: Proven, presumed: set[int]) -> None:
    """Read whether iptables has made of our transactions what we presume.

    :param presumed: the families that were written; nobody is left in it
    """
    _read_each(presumed, proven.confirm)


def _read_each(
    families: set[int],
    read: Callable[[Hashable, Callable[[], Saved]], object],
) -> None:
    while families:
        family = families.pop()
        if is_legacy(family):
            continue
        with contextlib.suppress(HostSetupError):
            read(tables_key(family), partial(read_tables, family))


def _to_wake(saved: Saved, planned: frozenset[str]) -> frozenset[str]:
    return frozenset(
        name
        for name, each in saved.dormant.items()
        if name in planned or each.holds_ours
    )


def tables_key(family: int) -> Hashable:
    """Return what a family's tables are known by, where that is proven."""
    return "iptables", family


def read_kernel(family: int) -> dict[str, Existing]:
    """Return what iptables-nft has in force, without its help.

    :raises HostSetupError: the kernel does not tell
    """
    found = {name: read_native(family, name) for name in sorted(BUILTINS)}
    dormant = dormant_tables(family)
    return {
        name: Existing() if name in dormant else each.existing
        for name, each in found.items()
        if each
    }


def other_backend(family: int) -> Changes:
    """Report chains of ours in the iptables that is not in use."""
    command = COMMANDS[family]
    if is_legacy(family):
        other, tables = f"{command}-nft", read_kernel(family)
    elif not legacy_tables(family) or not resolved(f"{command}-legacy-save"):
        return Changes()
    else:
        other = f"{command}-legacy"
        tables = _parsed(run(f"{other}-save").output)
    if not any(each.holds_ours for each in tables.values()):
        return Changes()
    text = (
        f"chains of ours are in {other} too, and {command} is another "
        f"backend now: remove what {other}-save shows of flatnet"
    )
    return Changes(failures=(Failure(Subject(Surface.FIREWALL), text),))


def is_legacy(family: int) -> bool:
    """Whether the iptables that is used is not of nftables."""
    command = resolved(f"{COMMANDS[family]}-restore")
    return "legacy" in os.path.basename(command)


def legacy_tables(family: int) -> frozenset[str]:
    """Return the names of the tables that iptables-legacy has made."""
    path = {4: "/proc/net/ip_tables_names", 6: "/proc/net/ip6_tables_names"}
    try:
        return frozenset(read_setting(path[family]).split())
    except OSError:
        return frozenset()
