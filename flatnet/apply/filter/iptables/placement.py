"""Where the jumps of ours stand among the rules of others.

They stand on top, but for foreign rules that an operator wants above them:
those that lead a built-in chain and match `iptables_top_regex`.  What matches
`iptables_bottom_regex` is below in any case.  Foreign rules are not moved.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from flatnet.exceptions import HostSetupError


@dataclass(frozen=True)
class Placement:
    """Patterns of foreign rules that stay above, and below, our jumps."""

    top: re.Pattern[str] | None = None
    bottom: re.Pattern[str] | None = None

    def above(self, foreign: Sequence[str]) -> int:
        """How many of a chain's foreign rules are to stay above ours."""
        return len(list(takewhile(self._stays_above, foreign)))

    def _stays_above(self, rule: str) -> bool:
        if self.bottom is not None and self.bottom.search(rule):
            return False
        return self.top is not None and self.top.search(rule) is not None


def placement(top_regex: str, bottom_regex: str) -> Placement:
    """Return what the two options say; empty ones say nothing.

    :raises HostSetupError: one is no regular expression
    """
    return Placement(
        _compiled("iptables_top_regex", top_regex),
        _compiled("iptables_bottom_regex", bottom_regex),
    )


def _compiled(option: str, text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise HostSetupError(f"{option} {text!r}: {error}") from error
