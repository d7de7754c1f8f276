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


def release_leases(
    server: DhcpServer, networks_path: str
) -> tuple[Effect, ...]:
    """Release each lease whose MAC and address nobody of ours has.

    dnsmasq does so when it gets round to it, which is waited for.
    """
    path = dnsmasq.path(networks_path, server.bridge, "leases")
    made = []
    for mac, address in _stale_leases(server, path):
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
    deadline = time.monotonic() + _PATIENCE
    while made and _stale_leases(server, path) and time.monotonic() < deadline:
        time.sleep(0.005)
    return tuple(made)


def _stale_leases(server: DhcpServer, path: str) -> list[tuple[str, str]]:
    """MAC and address of the leases that none of `hosts` has.

    dnsmasq keeps leases of a range that it no longer serves, and releases
    none of them.
    """
    leases = dnsmasq.leases(files.read(path))
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
