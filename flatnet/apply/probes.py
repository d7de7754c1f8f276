"""What changes without an event, looked at once a second.

Goals, and how each is met:

* What opens is seen and put back at once: the settings that make bridged
  packets pass iptables, the sets whose members are kept out, and the size
  of tables of iptables-legacy.
* A DHCP server that has ended, or that somebody has stopped, is noticed.
* It costs next to nothing, however many guests there are: of what there is
  one of each, a few are looked at, in turn.

Given up: a guest's own device may have IPv6 for as many seconds as there are
ports, divided by sixteen; whole passes look at all.
"""

import logging
from pathlib import Path

from flatnet.apply.known import Known
from flatnet.apply.sysctl import apply_sysctls
from flatnet.effects import Effect, Subject, Surface, Verb
from flatnet.state import Failure, Plan

LOG = logging.getLogger("flatnet.applier")
# Ports that are looked at by one probe.
_AT_ONCE = 16
_DEVICES = Path("/proc/sys/net/ipv6/conf")
# What had to be mended, and what only a pass can mend.
Met = Effect | Failure


class Probes:
    """Looks at a plan, some of it at a time."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._turn: list[str] = []
        self._told: set[str] = set()

    def changed_rules(self) -> tuple[str, ...]:
        """Return who changed rules, as far as these have no events."""
        found = []
        if not self._known.sets.are_as_left():
            self._known.sets.forget()
            found.append("somebody (by ipset)")
        if not self._known.legacy.are_as_left():
            found.append("somebody (by iptables-legacy)")
        return tuple(found)

    def mended(self, plan: Plan) -> tuple[Met, ...]:
        """Mend what keeps packets from being filtered, and servers.

        :returns: what was not as the last pass left it
        """
        settings = apply_sysctls(plan)
        daemons = self._known.daemons
        ended = (
            f"dnsmasq with pid {each.pid} has ended"
            for each in daemons.ended()
        )
        return (
            *settings.made,
            *settings.failures,
            *(
                Effect(Surface.DHCP, Verb.RESUMED, each, "a stopped dnsmasq")
                for each in daemons.resumed()
            ),
            *(Failure(Subject(Surface.DHCP), text) for text in ended),
            *(
                Failure(Subject(Surface.PORT, name), "it has IPv6")
                for name in self._having_ipv6(plan)
            ),
        )

    def _having_ipv6(self, plan: Plan) -> list[str]:
        if not self._turn:
            self._turn = [
                port.name
                for bridge in plan.bridges
                for port in bridge.ports
                if port.kind != "external"
            ]
        turn, self._turn = self._turn[:_AT_ONCE], self._turn[_AT_ONCE:]
        found = [name for name in turn if _has_ipv6(name)]
        # Told once, until it was found well.
        new = [name for name in found if name not in self._told]
        self._told = (self._told - set(turn)) | set(found)
        return new


def _has_ipv6(name: str) -> bool:
    try:
        return (_DEVICES / name / "disable_ipv6").read_text().strip() == "0"
    except OSError:
        return False
