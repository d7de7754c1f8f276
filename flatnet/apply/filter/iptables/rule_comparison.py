"""Whether what stands in a chain is what we wrote, word by word.

Goals, and how each is met:

* Rules are rendered as iptables-save prints them, and compared as text.  So
  a rule that somebody edited is found, also one that keeps our comment.
* Protocols are written by number, for a host's iptables may not know the
  name, and printed by the name that /etc/protocols has.
* Another iptables may print a word otherwise.  A rule with the right mark in
  other words is taken for an edit and written again; if it reads the same
  after that, it is how this iptables prints it, and remembered.  So there is
  one write too many for each rule and process, and no more.  What is read
  must be what we wrote: the count of transactions of nftables tells; where it
  does not, the next pass tries again.

Given up: iptables-legacy counts nothing, so that what reads as before may be
somebody's edit, made anew after ours.  Nothing is learnt there.  A legacy
iptables that prints a rule of ours otherwise has it written again by each
pass, which judges connections anew, and where a step fails whom that rule
lets in counts as open.
"""

import contextlib
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path

from flatnet.apply.filter.iptables.iptables import (
    COMMANDS,
    Existing,
    jump_line,
)
from flatnet.apply.filter.iptables.marks import lines, mark_of
from flatnet.apply.filter.iptables.saved import is_legacy, read_tables
from flatnet.apply.filter.iptables.tables import Table
from flatnet.apply.filter.nft_proof import Proven, generation
from flatnet.exceptions import HostSetupError

LOG = logging.getLogger("flatnet.applier")
_PROTOCOLS = Path("/etc/protocols")
_PROTOCOL = re.compile(r"(?:^| )-p ([0-9]+) ")


class RuleComparison:
    """How the iptables of one host prints what one process writes."""

    def __init__(self) -> None:
        # By family and name of a table: what is printed, by what we write.
        self._printed: dict[tuple[int, str], dict[str, str]] = {}

    @cached_property
    def _names(self) -> Mapping[str, str]:
        """The names of protocols by number."""
        try:
            text = _PROTOCOLS.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return {}
        found: dict[str, str] = {}
        for line in text.splitlines():
            words = line.partition("#")[0].split()
            if len(words) > 1:
                found.setdefault(words[1], words[0])
        return found

    def is_said(self, table: Table, line: str, shown: str) -> bool:
        """Whether a rule that we write is what iptables shows."""
        return (
            shown in (line, self._named(line))
            or self._known(table).get(line) == shown
        )

    def _known(self, table: Table) -> Mapping[str, str]:
        return self._printed.get((table.family, table.name), {})

    def _named(self, line: str) -> str:
        found = _PROTOCOL.search(line)
        if not found:
            return line
        name = self._names.get(found[1], found[1])
        return f"{line[: found.start(1)]}{name}{line[found.end(1) :]}"

    def understood(self, existing: Existing, table: Table) -> Existing:
        """Return a table in the words of its plan, as far as these say it."""
        texts, builtins = dict(existing.texts), dict(existing.builtins)
        for name, written in _written(table).items():
            found = builtins if name in builtins else texts
            shown = found.get(name)
            if shown is None or tuple(shown) == written:
                continue
            by_mark = {mark_of(line): line for line in written}
            found[name] = [
                self._understood(table, by_mark.get(mark_of(each)), each)
                for each in shown
            ]
        return replace(existing, texts=texts, builtins=builtins)

    def _understood(self, table: Table, line: str | None, shown: str) -> str:
        if line is None or not self.is_said(table, line, shown):
            return shown
        return line

    def writing(
        self,
        rest: tuple[Existing, Table],
        table: Table,
        proven: Proven,
        write: Callable[[], str],
    ) -> str:
        """Have a table written; return the error, or nothing.

        :param rest: what may differ of the table before, as understood, and
            of the plan
        :param write: does it in one transaction; returns the error
        """
        doubtful = _otherwise(*rest)
        if not doubtful or is_legacy(table.family):
            return write()
        before = generation(proven.asking)
        error = write()
        if not error:
            with contextlib.suppress(HostSetupError):
                after = read_tables(table.family).tables[table.name]
                if generation(proven.asking) == before + 1:
                    self._learn(doubtful, self.understood(after, table), table)
        return error

    def _learn(
        self, doubtful: Mapping[str, str], after: Existing, table: Table
    ) -> None:
        """Note what reads after it was written as it did before."""
        found = {
            line: shown
            for line, shown in _otherwise(after, table).items()
            if doubtful.get(line) == shown
        }
        both = {**self._known(table), **found}
        self._printed[table.family, table.name] = {
            line: both[line]
            for line in chain.from_iterable(_written(table).values())
            if line in both
        }
        for line, shown in sorted(found.items())[:1]:
            LOG.info(
                "%s prints %d rules of %s otherwise than they were written, "
                "as %r for %r",
                COMMANDS[table.family],
                len(found),
                table.name,
                shown,
                line,
            )


def _written(table: Table) -> dict[str, tuple[str, ...]]:
    """What we write, by chain; in a built-in one it is one jump."""
    return {
        **{each.name: lines(each) for each in table.chains},
        **{jump.builtin: (jump_line(jump),) for jump in table.jumps},
    }


def _otherwise(existing: Existing, table: Table) -> dict[str, str]:
    """What bears a planned rule's mark in other words, by that rule.

    A mark is of one chain.
    """
    written = {
        name: each
        for name, each in _written(table).items()
        if name in existing.builtins
        or tuple(existing.texts.get(name, ())) != each
    }
    by_mark = {
        mark_of(line): line for rules in written.values() for line in rules
    }
    shown = (
        line
        for name in written
        for line in (
            *existing.texts.get(name, ()),
            *existing.builtins.get(name, ()),
        )
    )
    found = ((by_mark.get(mark_of(line)), line) for line in shown)
    return {line: each for line, each in found if line and line != each}
