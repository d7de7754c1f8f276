"""Who else changed rules, as far as there is something to mend.

Rules of others that come before ours have a moment to go again.
"""

import time

from flatnet.apply.filter.iptables.rules_above import RulesAbove
from flatnet.apply.filter.iptables.saved import tables_key
from flatnet.apply.host import Tools
from flatnet.apply.rule_writers import UNKNOWN, Writer
from flatnet.apply.watch import Noticed


class Foreign:
    """Tells the work of others from what we did, for one worker."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._rules_above = RulesAbove(tools.known.proven.asking)

    @property
    def due(self) -> float:
        """When somebody's moment has passed, by the clock of `monotonic`."""
        return self._rules_above.due

    def heard(self, noticed: Noticed) -> tuple[tuple[str, ...], bool]:
        """Return who left rules to mend, and whether more may have happened.

        What was touched is no longer proven.
        """
        about_us = [each for each in noticed.transactions if each.is_about_us]
        names = [
            each.writer.name
            for each in about_us
            if not self._is_own(each.writer)
        ]
        names += self._overtaking(noticed)
        is_lost = any(each.writer == UNKNOWN for each in about_us)
        return tuple(dict.fromkeys(names)), is_lost

    def _is_own(self, writer: Writer) -> bool:
        """Whether it is ourselves, or ran for us."""
        session, own = self._tools.session, self._tools.known.own
        return writer.port in session.ports or own.excuse(writer)

    def _overtaking(self, noticed: Noticed) -> tuple[str, ...]:
        """Whose rules have come before ours, and stayed there."""
        known, now = self._tools.known, time.monotonic()
        for each in noticed.transactions:
            if each.touched.above and not self._is_own(each.writer):
                self._rules_above.note(
                    each.touched.above,
                    each.writer.name,
                    known.rendering.tables,
                    now,
                )
        stayed = self._rules_above.stayed(now)
        for place in stayed:
            known.proven.drop(tables_key(place.family))
        return tuple(stayed.values())
