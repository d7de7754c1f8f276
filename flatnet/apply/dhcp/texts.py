"""The files that tell dnsmasq who is known, as text.

A line is checked and made once, for as long as its host is in the plan: who
comes or goes costs his own lines, and joining them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from flatnet.apply.dhcp import dnsmasq
from flatnet.apply.middle import middle
from flatnet.state.plan import DhcpHost, DhcpServer


@dataclass(frozen=True)
class _Made:
    """The lines of some hosts, one for each."""

    domain: str = ""
    hosts: tuple[DhcpHost, ...] = ()
    lines: tuple[str, ...] = ()


class Texts:
    """Makes the texts of servers, and remembers the lines of the last."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], _Made] = {}

    def of(self, server: DhcpServer) -> dict[str, str]:
        """Return the texts of a server's files by their kinds.

        :raises HostSetupError: a value cannot stand in a line
        """
        return {
            "hosts": self._text(server, "hosts", dnsmasq.hosts_line),
            "names": self._text(server, "names", dnsmasq.names_line),
        }

    def forget(self, bridge: str) -> None:
        """Forget those of a server that is no more."""
        for key in [each for each in self._made if each[0] == bridge]:
            del self._made[key]

    def _text(
        self,
        server: DhcpServer,
        kind: str,
        line: Callable[[DhcpHost, str], str],
    ) -> str:
        key, domain, hosts = (server.bridge, kind), server.domain, server.hosts
        known = self._made.get(key, _Made())
        if known.domain != domain:
            known = _Made()
        went, came = middle(known.hosts, hosts)
        lines = (
            *known.lines[: went.start],
            *(line(host, domain) for host in hosts[came]),
            *known.lines[went.stop :],
        )
        self._made[key] = _Made(domain, hosts, lines)
        return "".join(lines)
