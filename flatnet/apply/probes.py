"""What changes without an event, looked at once a second.

Goals, and how each is met:

* What opens is seen and put back at once: the settings that make bridged
  packets pass iptables, the sets whose members are kept out, and the size
  of tables of iptables-legacy.
* A DHCP server that has ended, or that somebody has stopped, is noticed, and
  so is who writes or removes its files.
* It costs next to nothing, however many guests there are: of what there is
  one of each, a few are looked at, in turn.

Given up: a guest's own device may have IPv6 for as many seconds as there are
ports, divided by sixteen; whole passes look at all, where that is due
(`ration`).
"""

from collections.abc import Iterator
from pathlib import Path

from flatnet.apply.known import Known
from flatnet.apply.link.sysctl import apply_sysctls
from flatnet.state.changes import Failure
from flatnet.state.effects import Effect, Subject, Surface, Verb
from flatnet.state.plan import Plan

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
        # What lasts is told once, until it was found well: each with what
        # tells it from the same that was done before, and mended.
        self._told: frozenset[tuple[Failure, object]] = frozenset()
        self._having_ipv6: frozenset[str] = frozenset()
        self._files: dict[str, object] = {}

    def note(self) -> None:
        """Note what a pass has left."""
        self._files = self._known.daemons.files()

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

        :returns: what was not as the last pass left it; what lasts, for it
            cannot be mended here, just once
        """
        settings = apply_sysctls(plan)
        lasting = frozenset((each, None) for each in settings.failures).union(
            self._of_servers(), self._of_ports(plan)
        )
        new, self._told = lasting - self._told, lasting
        return (
            *settings.made,
            *(
                Effect(Surface.DHCP, Verb.RESUMED, each, "a stopped dnsmasq")
                for each in self._known.daemons.resumed()
            ),
            *sorted((failure for failure, _ in new), key=str),
        )

    def _of_servers(self) -> Iterator[tuple[Failure, object]]:
        daemons = self._known.daemons
        for bridge, daemon in daemons.lost():
            text = f"dnsmasq with pid {daemon.pid} has ended"
            yield Failure(Subject(Surface.DHCP, bridge), text), daemon
        now = daemons.files()
        for path in sorted(self._files.keys() & now.keys()):
            if now[path] != self._files[path]:
                subject = Subject(Surface.FILE, path)
                yield Failure(subject, "written or removed"), now[path]

    def _of_ports(self, plan: Plan) -> Iterator[tuple[Failure, object]]:
        """Those that were found to have IPv6, when it was their turn."""
        if not self._turn:
            self._turn = [
                port.name
                for bridge in plan.bridges
                for port in bridge.ports
                if port.kind != "external"
            ]
        turn, self._turn = self._turn[:_AT_ONCE], self._turn[_AT_ONCE:]
        found = frozenset(filter(_has_ipv6, turn))
        self._having_ipv6 = self._having_ipv6.difference(turn) | found
        for name in self._having_ipv6:
            yield Failure(Subject(Surface.PORT, name), "it has IPv6"), None


def _has_ipv6(name: str) -> bool:
    try:
        return (_DEVICES / name / "disable_ipv6").read_text().strip() == "0"
    except OSError:
        return False
