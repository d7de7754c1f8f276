"""The files that tell dnsmasq who is known, as text.

A line is checked and made once, for as long as its host is in the plan: who
comes or goes costs his own lines, and joining them.
"""

from dataclasses import dataclass, field

from flatnet.apply.dhcp import dnsmasq
from flatnet.apply.sequence_diff import middle
from flatnet.state.plan import DhcpHost, DhcpServer

_LINES = {
    "hosts": dnsmasq.hosts_line,
    "names": dnsmasq.names_line,
    "opts": dnsmasq.options_line,
}


@dataclass(frozen=True)
class _Made:
    """The lines of some hosts, one for each, by the kind of the file."""

    domain: str = ""
    hosts: tuple[DhcpHost, ...] = ()
    lines: dict[str, list[str]] = field(
        default_factory=lambda: {kind: [] for kind in _LINES}
    )


class Texts:
    """Makes the texts of servers, and remembers the lines of the last."""

    def __init__(self) -> None:
        self._made: dict[str, _Made] = {}

    def of(self, server: DhcpServer) -> dict[str, str]:
        """Return the texts of a server's files by their kinds.

        :raises HostSetupError: a value cannot stand in a line
        """
        known = self._made.get(server.bridge)
        if known is None or known.domain != server.domain:
            known = _Made(server.domain)
        went, came = middle(known.hosts, server.hosts)
        old, new = known.hosts[went], server.hosts[came]
        lines = {}
        for kind, line in _LINES.items():
            before = known.lines[kind]
            # Those that stay between two that differ.
            made = dict(zip(map(id, old), before[went], strict=True))
            lines[kind] = [
                *before[: went.start],
                *(made.get(id(e)) or line(e, server.domain) for e in new),
                *before[went.stop :],
            ]
        self._made[server.bridge] = _Made(server.domain, server.hosts, lines)
        return {kind: "".join(each) for kind, each in lines.items()}

    def forget(self, bridge: str) -> None:
        """Forget those of a server that is no more."""
        self._made.pop(bridge, None)
