"""One iptables table as text: what is ours in it, and how to correct it.

Goals, and how each is met:

* Rules are never parsed.  They are compared as text with what iptables-save
  is to print (see `rule_comparison`).  Each rule of ours carries, as a
  comment, a hash over its own text and the hash before it, so that where
  there is no text (see `kernel_tables`) the marks of a chain equal the
  planned ones only if no rule was inserted, removed or moved.
* Only what differs is written.  `iptables-restore --noflush` takes whole
  chains; those that it does not name keep their counters.  A chain that got
  rules at its end, or leads on by one more, gets these alone: for what takes
  nothing away nobody waits until the kernel has let go of it.
* Foreign rules stay byte for byte.  Rules of built-in chains are deleted by
  their full text, never by number: a number may mean another rule by then.
* Nothing from outside reaches the privileged program unchecked: see
  `grammar`.

Given up: an edit that keeps our comment is not noticed where iptables cannot
read its own tables.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flatnet.apply.filter.iptables.marks import lines, mark_of, marked, marks
from flatnet.apply.filter.iptables.placement import Placement
from flatnet.apply.filter.iptables.tables import Chain, Jump, Table
from flatnet.state.effects import Effect, Key, Surface, Verb

PREFIX = "flatnet-"
COMMANDS = {4: "iptables", 6: "ip6tables"}
BUILTINS = {
    "filter": ("FORWARD", "INPUT", "OUTPUT"),
    "mangle": ("POSTROUTING",),
    "nat": ("POSTROUTING", "PREROUTING"),
    "raw": ("PREROUTING",),
}
TARGET = re.compile(r"(?:^| )-[jg] (flatnet-\S+)")


@dataclass(frozen=True)
class Existing:
    """What a table holds, as far as we look at it.

    `chains` maps each chain of ours to the marks of its rules (none for a
    rule without one) and `texts` to its rules' text, where that is known;
    `builtins` each built-in chain to its rules' text.
    `referenced` are chains of ours that foreign user chains lead to.
    `handles` numbers the rules of built-in chains as the kernel does, where
    they were read from it and foreign ones have no text (see `kernel_tables`).
    """

    chains: dict[str, list[str | None]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    builtins: dict[str, list[str]] = field(default_factory=dict)
    referenced: set[str] = field(default_factory=set)
    handles: dict[str, list[int]] = field(default_factory=dict)

    @property
    def holds_ours(self) -> bool:
        """Whether there is anything of ours in it."""
        rules = (rule for each in self.builtins.values() for rule in each)
        return bool(self.chains) or any(map(_is_ours, rules))


@dataclass(frozen=True)
class Edits:
    """Input for iptables-restore, empty for none, and what it will do.

    `before` and `after` are (built-in chain, handle) of rules that
    iptables-restore cannot find by their text: of those that go, and of those
    that another takes the place of.
    """

    text: str = ""
    made: tuple[Effect, ...] = ()
    before: tuple[tuple[str, int], ...] = ()
    after: tuple[tuple[str, int], ...] = ()


def changed(existing: Existing, wanted: Table) -> tuple[Chain, ...]:
    """Return the planned chains that the table lacks or has otherwise."""
    return tuple(
        chain for chain in wanted.chains if not _is_as_planned(existing, chain)
    )


def _is_as_planned(existing: Existing, chain: Chain) -> bool:
    if chain.name in existing.texts:
        return tuple(existing.texts[chain.name]) == lines(chain)
    return existing.chains.get(chain.name) == marks(chain)


def has_grown(existing: Existing, chain: Chain) -> bool:
    """Whether a planned chain is there, word by word, but for its end."""
    there = existing.texts.get(chain.name)
    return there is not None and tuple(there) == lines(chain)[: len(there)]


def edits(existing: Existing, wanted: Table, place: Placement) -> Edits:
    """Return what brings a table to the plan, as one transaction.

    :param place: which foreign rules stay above our jumps
    """
    chains = changed(existing, wanted)
    planned = {chain.name for chain in wanted.chains}
    stale = sorted(existing.chains.keys() - planned)
    # A foreign chain leads there: it can be emptied but not removed.
    kept = [name for name in stale if name in existing.referenced]
    emptied = [name for name in kept if existing.chains[name]]
    removed = [name for name in stale if name not in kept]
    deletions, insertions, moved = _jump_edits(existing, wanted, place)
    replaced = {jump.builtin for jump in wanted.jumps}
    handled = _handled(existing, moved)
    lacking = {each.name: _lacking(existing, each) for each in chains}
    body = (
        *(_declaration(c.name) for c in chains if not lacking[c.name]),
        *deletions,
        *(line for c in chains for line in _additions(c, lacking[c.name])),
        *insertions,
        *(f"-F {name}" for name in (*emptied, *removed)),
        *(f"-X {name}" for name in removed),
    )
    done = (
        *((Verb.WRITTEN, chain.name) for chain in chains),
        *((Verb.SET, builtin) for builtin in moved),
        *((Verb.EMPTIED, name) for name in emptied),
        *((Verb.REMOVED, name) for name in removed),
    )
    return Edits(
        _transaction(wanted.name, body),
        tuple(_effect(wanted, verb, name) for verb, name in done),
        before=tuple(each for each in handled if each[0] not in replaced),
        after=tuple(each for each in handled if each[0] in replaced),
    )


def _effect(table: Table, verb: Verb, chain: str) -> Effect:
    """What was done to a chain; of one that is not ours, to its jumps."""
    detail = "the jumps to ours" if verb is Verb.SET else ""
    return Effect(Surface.FIREWALL, verb, table_key(table, chain), detail)


def table_key(table: Table, chain: str = "") -> Key:
    """Return what a table, or a chain of it, is in effects."""
    of_table = COMMANDS[table.family], table.name
    return (*of_table, chain) if chain else of_table


def chain_of(key: Key) -> str:
    """Return the chain that a `table_key` is of, or an empty name."""
    return key[2] if isinstance(key, tuple) and len(key) > 2 else ""


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


def _lacking(existing: Existing, chain: Chain) -> range | None:
    """Which rules are all that a chain lacks: its last ones, or one anywhere.

    None if it is to be written whole.
    """
    there = tuple(existing.texts.get(chain.name, ()))
    if has_grown(existing, chain):
        return range(len(there), len(chain.rules))
    every = lines(chain)
    if chain.any_order and len(every) == len(there) + 1:
        others = (n for n, each in enumerate(there) if each != every[n])
        place = next(others, 0)
        if there and there[place:] == every[place + 1 :]:
            return range(place, place + 1)
    return None


def _additions(chain: Chain, places: range | None = None) -> list[str]:
    """What comes to a chain: all rules, or those of these places."""
    every = lines(chain)
    if places is None or places.stop == len(every):
        start = places.start if places else 0
        return [f"-A {chain.name} {line}" for line in every[start:]]
    return [f"-I {chain.name} {n + 1} {every[n]}" for n in places]


def jump_rule(chain: str, mark: str) -> str:
    """Return the rule of a jump into a chain of ours, with its mark."""
    return marked(f"-j {chain}", mark)


def jump_line(jump: Jump) -> str:
    """Return the rule of a planned jump, with its mark."""
    return lines(Chain(jump.builtin, (f"-j {jump.chain}",)))[0]


def _is_ours(rule: str) -> bool:
    return bool(mark_of(rule) or TARGET.search(rule))


def _jump_edits(
    existing: Existing, wanted: Table, place: Placement
) -> tuple[list[str], list[str], list[str]]:
    """Return deletions, insertions, and the built-in chains they are in."""
    jumps = {jump.builtin: jump for jump in wanted.jumps}
    deletions, insertions, moved = [], [], []
    for builtin in sorted(jumps.keys() | existing.builtins.keys()):
        rules = existing.builtins.get(builtin, [])
        ours = [rule for rule in rules if _is_ours(rule)]
        above = _above(existing, builtin, place)
        jump = jumps.get(builtin)
        if _is_in_place(jump, rules, ours, above):
            continue
        moved.append(builtin)
        if builtin not in existing.handles:
            deletions += [f"-D {builtin} {rule}" for rule in ours]
        if jump is not None:
            line = jump_line(jump)
            insertions.append(f"-I {builtin} {above + 1} {line}")
    return deletions, insertions, moved


def _handled(existing: Existing, builtins: list[str]) -> list[tuple[str, int]]:
    """The rules of ours in these chains that are known by a number."""
    return [
        (name, handle)
        for name in builtins
        for rule, handle in zip(
            existing.builtins.get(name, ()),
            existing.handles.get(name, ()),
            strict=False,
        )
        if _is_ours(rule)
    ]


def leads(existing: Existing, jump: Jump, place: Placement) -> bool:
    """Whether the table has a jump, and nothing foreign before it."""
    rules = existing.builtins.get(jump.builtin, [])
    ours = [rule for rule in rules if _is_ours(rule)]
    above = _above(existing, jump.builtin, place)
    return _is_in_place(jump, rules, ours, above)


def _above(existing: Existing, builtin: str, place: Placement) -> int:
    """How many foreign rules of a chain stay above ours."""
    rules = existing.builtins.get(builtin, [])
    if place.top is not None and builtin in existing.handles:
        # Nobody can tell which of them match.
        return next((n for n, r in enumerate(rules) if _is_ours(r)), 0)
    return place.above([rule for rule in rules if not _is_ours(rule)])


def strays(
    existing: Mapping[str, Existing], tables: Iterable[Table], place: Placement
) -> tuple[str, ...]:
    """Return a line for each foreign rule that is above ours unnamed."""
    if place.top is None:
        return ()
    found = []
    for table in tables:
        there = existing.get(table.name, Existing())
        for builtin in (jump.builtin for jump in table.jumps):
            if builtin not in there.handles:
                where = " ".join(table_key(table, builtin))
                rules = there.builtins.get(builtin, ())
                foreign = [rule for rule in rules if not _is_ours(rule)]
                found += [(where, rule) for rule in place.unnamed(foreign)]
    return tuple(
        f"{where}: the rule {rule!r} stands before one that "
        "iptables_top_regex names, and so above flatnet's: what it accepts "
        "is not filtered"
        for where, rule in found
    )


def _is_in_place(
    jump: Jump | None, rules: list[str], ours: list[str], above: int
) -> bool:
    if jump is None:
        return not ours
    if len(ours) != 1 or rules.index(ours[0]) != above:
        return False
    return ours[0] == jump_line(jump)
