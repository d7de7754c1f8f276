"""The marks that rules of ours carry, and what they tell.

Each is a hash over its rule's own text and the mark before it, the first over
the name of the chain.  So a rule is known without being parsed, by itself and
in its place.  Where a chain only leads on, each is as the first one is: a way
more changes no other rule.
"""

import hashlib
import re
from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache

from flatnet.apply.filter.iptables.tables import Chain

MARK = re.compile("flatnet:([0-9a-f]{16})")
_COMMENT = re.compile(rf'--comment "?{MARK.pattern}"?(?: |$)')
# As `marked` puts it.
_OF_RULE = re.compile(f'-m comment --comment "{MARK.pattern}" (?=-j )')
_REMEMBERED = 1 << 14


def marks(chain: Chain) -> list[str]:
    """Return the mark of each rule of a planned chain."""
    found = []
    mark = chain.name
    for rule in chain.rules:
        mark = _mark(chain.name if chain.any_order else mark, rule)
        found.append(mark)
    return found


def _mark(before: str, rule: str) -> str:
    # What somebody put into a chain of ours may be no text.
    text = f"{before}\n{rule}".encode(errors="surrogateescape")
    return hashlib.sha256(text).hexdigest()[:16]


def recognised(
    found: list[str | None], chain: Chain
) -> tuple[str | None, ...]:
    """Return the planned rule behind each mark of a chain of the kernel.

    A mark is made of the rule and the mark before, which is known too.  One
    of a former plan is an empty rule; what stands from a rule on that bears
    no mark is none.

    :param found: the marks of the chain
    """
    rules: list[str | None] = []
    before = chain.name
    place = 0
    for mark in found:
        if mark is None:
            break
        rule = ""
        # Nearly always it is the one that comes next.
        for each in (*range(place, len(chain.rules)), *range(place)):
            if _mark(before, chain.rules[each]) == mark:
                rule, place = chain.rules[each], each + 1
                break
        rules.append(rule)
        before = chain.name if chain.any_order else mark
    return (*rules, *(None for _ in found[len(rules) :]))


def mark_of(line: str) -> str | None:
    """Return the mark in a rule's text."""
    found = _COMMENT.search(line)
    return found[1] if found else None


@lru_cache(_REMEMBERED)
def lines(chain: Chain) -> tuple[str, ...]:
    """Return the rules of a planned chain with their marks.

    They are as iptables-save prints them, but for what `rule_comparison`
    knows.
    """
    found = zip(chain.rules, marks(chain), strict=True)
    return tuple(marked(rule, mark) for rule, mark in found)


def marked(rule: str, mark: str) -> str:
    """Return a rule with a mark, after its matches and before its target.

    So no packet pays for it that another match turned away.
    """
    matches, _, target = rule.rpartition("-j ")
    return f'{matches}-m comment --comment "flatnet:{mark}" -j {target}'


def written(planned: Chain, shown: Collection[str]) -> Chain | None:
    """Return the chain that stands as these lines, if it is ours.

    So it is where each rule is as we write it, with its mark and, but for any
    order, in its place, whenever that was.

    :param planned: the chain as it is to be by now
    """
    found = tuple(_OF_RULE.sub("", line, count=1) for line in shown)
    chain = replace(planned, rules=found)
    return chain if lines(chain) == tuple(shown) else None
