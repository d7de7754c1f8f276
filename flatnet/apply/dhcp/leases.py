"""Leases that nobody has any more, taken back from dnsmasq."""

import ipaddress
import time

from flatnet.apply import files
from flatnet.apply.command import run
from flatnet.apply.dhcp import dnsmasq
from flatnet.exceptions import HostSetupError
from flatnet.state.effects import Effect, Surface, Verb
from flatnet.state.plan import DhcpServer

# Seconds that dnsmasq has to release a lease.
_PATIENCE = 0.5


class Leases:
    """Releases leases, and remembers which files had none to be released.

    A host's file has a line for each guest, and is nearly always as it was.
    """

    def __init__(self) -> None:
        # By its path: the text of a file, and the server it was held against.
        self._sound: dict[str, tuple[str, DhcpServer]] = {}

    def release(
        self, server: DhcpServer, networks_path: str
    ) -> tuple[Effect, ...]:
        """Release each lease whose MAC and address nobody of ours has.

        dnsmasq does so when it gets round to it, which is waited for.
        """
        path = dnsmasq.path(networks_path, server.bridge, "leases")
        made = []
        for mac, address in self._stale(server, path):
            done = run("dhcp_release", server.bridge, address, mac)
            if done.status:
                raise HostSetupError(
                    f"the lease of {address} by {mac} was not released: "
                    f"{done.error}"
                )
            made.append(
                Effect(
                    Surface.DHCP,
                    Verb.RELEASED,
                    server.bridge,
                    f"{address} of {mac}",
                )
            )
        end = time.monotonic() + _PATIENCE
        while made and self._stale(server, path) and time.monotonic() < end:
            time.sleep(0.005)
        return tuple(made)

    def _stale(self, server: DhcpServer, path: str) -> list[tuple[str, str]]:
        """MAC and address of the leases that none of a server's hosts has."""
        text = files.read(path)
        if self._is_sound(path, text, server):
            return []
        self._sound.pop(path, None)
        found = _stale_leases(server, dnsmasq.leases(text))
        if not found:
            self._sound[path] = text, server
        return found

    def _is_sound(self, path: str, text: str, server: DhcpServer) -> bool:
        if path not in self._sound:
            return False
        known, before = self._sound[path]
        same = (before.hosts, before.cidr) == (server.hosts, server.cidr)
        return same and text == known


def _stale_leases(
    server: DhcpServer, leases: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Those of leases, as MAC and address, that none of `hosts` has.

    dnsmasq keeps leases of a range that it no longer serves, and releases
    none of them.
    """
    if not leases:
        return []
    network = ipaddress.IPv4Network(server.cidr)
    known = {(host.mac, host.address) for host in server.hosts}
    return [
        (mac, address)
        for mac, address in leases
        if (mac, address) not in known
        and ipaddress.IPv4Address(address) in network
    ]
