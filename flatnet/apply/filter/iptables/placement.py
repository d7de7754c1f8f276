"""Where the jumps of ours stand among the rules of others.

They stand on top, but for foreign rules that an operator wants above them:
wherever these stand, our jump comes right after the last that matches
`iptables_top_regex`.  What matches `iptables_bottom_regex` is below in any
case, and so is what comes after it.  Foreign rules are not moved: one that
matches neither and stands between such as are to be above is above with them,
which is told, for it may let in what ours would not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from flatnet.exceptions import HostSetupError


@dataclass(frozen=True)
class Placement:
    """Patterns of foreign rules that stay above, and below, our jumps."""

    top: re.Pattern[str] | None = None
    bottom: re.Pattern[str] | None = None

    def above(self, foreign: Sequence[str]) -> int:
        """How many of a chain's foreign rules are to stay above ours."""
        above = 0
        for number, rule in enumerate(foreign, 1):
            if self.bottom is not None and self.bottom.search(rule):
                break
            if self._is_named(rule):
                above = number
        return above

    def unnamed(self, foreign: Sequence[str]) -> tuple[str, ...]:
        """Those that stay above though nobody has named them."""
        above = foreign[: self.above(foreign)]
        return tuple(rule for rule in above if not self._is_named(rule))

    def _is_named(self, rule: str) -> bool:
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
