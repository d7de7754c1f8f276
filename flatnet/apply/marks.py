"""The marks that rules of ours carry, and what they tell.

Each is a hash over its rule's own text and the mark before it, the first over
the name of the chain.  So a rule is known without being parsed, by itself and
in its place.
"""

import hashlib
import re

from flatnet.state import Chain

MARK = re.compile("flatnet:([0-9a-f]{16})")


def marks(chain: Chain) -> list[str]:
    """Return the mark of each rule of a planned chain."""
    found = []
    mark = chain.name
    for rule in chain.rules:
        mark = _mark(mark, rule)
        found.append(mark)
    return found


def _mark(before: str, rule: str) -> str:
    return hashlib.sha256(f"{before}\n{rule}".encode()).hexdigest()[:16]


def recognised(found: list[str | None], chain: Chain) -> frozenset[str]:
    """Return the planned rules that a chain of the kernel has.

    A mark is made of the rule and the mark before, which is known too.  What
    stands below a rule that bears no mark does not count.

    :param found: the marks of the chain
    """
    known: set[str] = set()
    before = chain.name
    place = 0
    for mark in found:
        if mark is None:
            break
        # Nearly always it is the one that comes next.
        for each in (*range(place, len(chain.rules)), *range(place)):
            if _mark(before, chain.rules[each]) == mark:
                known.add(chain.rules[each])
                place = each + 1
                break
        before = mark
    return frozenset(known)


def comment(mark: str) -> str:
    """Return what iptables writes a mark by."""
    # Last in the rule, so that no packet pays for it that another match
    # turned away.
    return f"-m comment --comment flatnet:{mark}"
