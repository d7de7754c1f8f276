"""One iptables table as text: what is ours in it, and how to correct it.

Goals, and how each is met:

* Rules are never parsed.  Each rule of ours carries, as a comment, a hash
  over its own text and the hash before it.  So the marks of a chain equal
  the planned ones only if no rule was inserted, removed, moved or edited,
  and comparing them is all that is needed.
* Only what differs is written.  `iptables-restore --noflush` takes whole
  chains; those that it does not name keep their counters.
* Foreign rules stay byte for byte.  Rules of built-in chains are deleted by
  their full text, never by number: a number may mean another rule by then.
* Nothing from outside reaches the privileged program unchecked: see
  `grammar`.

Given up: an edit that keeps our comment is not noticed, since iptables
prints rules differently from how they are written.
"""

import hashlib
import re
from dataclasses import dataclass, field
from itertools import takewhile

from flatnet.state import Chain, Jump, Table

PREFIX = "flatnet-"
INSTANCE_PREFIX = "flatnet-i-"
BUILTINS = {
    "filter": ("FORWARD", "INPUT", "OUTPUT"),
    "mangle": ("POSTROUTING",),
    "nat": ("POSTROUTING", "PREROUTING"),
}
_MARK = re.compile(r'--comment "?flatnet:([0-9a-f]{16})"?(?: |$)')
_TARGET = re.compile(r"(?:^| )-[jg] (flatnet-\S+)")


@dataclass(frozen=True)
class Existing:
    """What a table holds, as far as we look at it.

    `chains` maps each chain of ours to the marks of its rules (none for a
    rule without one), `builtins` each built-in chain to its rules' text.
    `referenced` are chains of ours that foreign user chains lead to.
    """

    chains: dict[str, list[str | None]] = field(default_factory=dict)
    builtins: dict[str, list[str]] = field(default_factory=dict)
    referenced: set[str] = field(default_factory=set)

    @property
    def holds_ours(self) -> bool:
        """Whether there is anything of ours in it."""
        rules = (rule for each in self.builtins.values() for rule in each)
        return bool(self.chains) or any(map(_is_ours, rules))


@dataclass(frozen=True)
class Edits:
    """Input for iptables-restore, empty for none, and what it will do."""

    text: str = ""
    made: tuple[str, ...] = ()


def parsed(save: str) -> dict[str, Existing]:
    """Return what the output of iptables-save says, by table name."""
    tables: dict[str, Existing] = {}
    table = Existing()
    for line in save.splitlines():
        if line.startswith("*"):
            table = tables.setdefault(line[1:], Existing())
        elif line.startswith(":"):
            name, policy = line[1:].split(" ")[:2]
            if name.startswith(PREFIX):
                table.chains[name] = []
            elif policy != "-":
                table.builtins[name] = []
        elif line.startswith("-A "):
            name, _, rule = line[3:].partition(" ")
            _note_rule(table, name, rule)
    return tables


def _note_rule(table: Existing, name: str, rule: str) -> None:
    if name in table.chains:
        mark = _MARK.search(rule)
        table.chains[name].append(mark[1] if mark else None)
    elif name in table.builtins:
        table.builtins[name].append(rule)
    else:
        table.referenced.update(_TARGET.findall(rule))


def marks(chain: Chain) -> list[str]:
    """Return the mark of each rule of a planned chain."""
    found = []
    mark = chain.name
    for rule in chain.rules:
        mark = hashlib.sha256(f"{mark}\n{rule}".encode()).hexdigest()[:16]
        found.append(mark)
    return found


def changed(existing: Existing, wanted: Table) -> tuple[Chain, ...]:
    """Return the planned chains that the table lacks or has otherwise."""
    return tuple(
        chain
        for chain in wanted.chains
        if existing.chains.get(chain.name) != marks(chain)
    )


def edits(
    existing: Existing, wanted: Table, top: re.Pattern[str] | None
) -> Edits:
    """Return what brings a table to the plan, as one transaction.

    :param top: foreign rules that match stay above our jumps, if they lead
    """
    chains = changed(existing, wanted)
    planned = {chain.name for chain in wanted.chains}
    stale = sorted(existing.chains.keys() - planned)
    # A foreign chain leads there: it can be emptied but not removed.
    kept = [name for name in stale if name in existing.referenced]
    emptied = [name for name in kept if existing.chains[name]]
    removed = [name for name in stale if name not in kept]
    deletions, insertions, moved = _jump_edits(existing, wanted, top)
    body = (
        *(_declaration(chain.name) for chain in chains),
        *deletions,
        *(line for chain in chains for line in _additions(chain)),
        *insertions,
        *(f"-F {name}" for name in (*emptied, *removed)),
        *(f"-X {name}" for name in removed),
    )
    command = "ip6tables" if wanted.family == 6 else "iptables"
    where = f"{command} {wanted.name}"
    made = (
        *(f"{where}: wrote chain {chain.name}" for chain in chains),
        *(f"{where}: set the jumps of {builtin}" for builtin in moved),
        *(f"{where}: emptied chain {name}" for name in emptied),
        *(f"{where}: removed chain {name}" for name in removed),
    )
    return Edits(_transaction(wanted.name, body), made)


def chains_text(table: str, chains: tuple[Chain, ...]) -> str:
    """Return the input that writes these chains and nothing else."""
    body = (
        *(_declaration(chain.name) for chain in chains),
        *(line for chain in chains for line in _additions(chain)),
    )
    return _transaction(table, body)


def _transaction(table: str, body: tuple[str, ...]) -> str:
    if not body:
        return ""
    return "\n".join((f"*{table}", *body, "COMMIT", ""))


def _declaration(name: str) -> str:
    """Make a chain, or empty it if it exists."""
    return f":{name} - [0:0]"


def _additions(chain: Chain) -> list[str]:
    return [
        f"-A {chain.name} {rule} {_comment(mark)}"
        for rule, mark in zip(chain.rules, marks(chain), strict=True)
    ]


def _comment(mark: str) -> str:
    # Last in the rule, so that no packet pays for it that another match
    # turned away.
    return f"-m comment --comment flatnet:{mark}"


def _is_ours(rule: str) -> bool:
    return bool(_MARK.search(rule) or _TARGET.search(rule))


def _jump_edits(
    existing: Existing, wanted: Table, top: re.Pattern[str] | None
) -> tuple[list[str], list[str], list[str]]:
    """Return deletions, insertions, and the built-in chains they are in."""
    jumps = {jump.builtin: jump for jump in wanted.jumps}
    deletions, insertions, moved = [], [], []
    for builtin in sorted(jumps.keys() | existing.builtins.keys()):
        rules = existing.builtins.get(builtin, [])
        ours = [rule for rule in rules if _is_ours(rule)]
        foreign = [rule for rule in rules if not _is_ours(rule)]
        above = 0
        if top is not None:
            above = len(list(takewhile(top.search, foreign)))
        jump = jumps.get(builtin)
        if _is_in_place(jump, rules, ours, above):
            continue
        moved.append(builtin)
        deletions += [f"-D {builtin} {rule}" for rule in ours]
        if jump is not None:
            comment = _comment(_jump_mark(jump))
            insertions.append(
                f"-I {builtin} {above + 1} -j {jump.chain} {comment}"
            )
    return deletions, insertions, moved


def _is_in_place(
    jump: Jump | None, rules: list[str], ours: list[str], above: int
) -> bool:
    if jump is None:
        return not ours
    if len(ours) != 1 or rules.index(ours[0]) != above:
        return False
    mark = _MARK.search(ours[0])
    return mark is not None and mark[1] == _jump_mark(jump)


def _jump_mark(jump: Jump) -> str:
    return marks(Chain(jump.builtin, (f"-j {jump.chain}",)))[0]
