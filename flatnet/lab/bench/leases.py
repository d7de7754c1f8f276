"""Leases of all guests of a host that boot at the same time.

The floor is dnsmasq alone, with as many guests on a bridge whose ports do not
hear one another, as flatnet's do not.
"""

import contextlib
import json
import statistics
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from flatnet.lab import namespaces
from flatnet.lab.bench import cpu, dhcp_clients, script
from flatnet.lab.bench.figure import FLOOR, Figure, Goal, Measured
from flatnet.lab.bench.site import Site
from flatnet.lab.server_process import LabProcess

_SECONDS = 60
_ROUNDS = 3
_BRIDGE, _GUEST = "leases0", "boot"
_GATEWAY, _FIRST = "10.210.0.1", ip_address("10.210.1.0")
_VIF = "vif"


def leases(site: Site) -> Measured:
    """Milliseconds until the last of all guests has its lease.

    What it costs is that of a guest, with what plays the client.
    """
    node = site.node.namespace
    found = site.node.run(["ls", "/sys/class/net"]).split()
    guests = [name for name in found if name.startswith(_VIF)]
    namespaces.configure(node, *(f"link set {name} up" for name in guests))
    times, floors, spent = [], [], []
    with _dnsmasq(site, len(guests)):
        for _ in range(_ROUNDS):
            with site.spent() as used:
                took, clients = _boot(node, _VIF)
            used.total["clients"] = clients
            times.append(took)
            spent.append(used)
            floors.append(_boot(site.floor_namespace, _GUEST)[0])
    return Measured(
        statistics.median(times),
        statistics.median(floors),
        cpu.mean(spent, len(guests)),
    )


FIGURES = (Figure("leases of all guests", "ms", leases, (Goal(1.1, FLOOR),)),)


def _boot(namespace: str, prefix: str) -> tuple[float, float]:
    """Milliseconds until the last has its lease, and of the clients' CPU."""
    words = [prefix, str(_SECONDS)]
    said = namespaces.run(
        script.command(namespace, dhcp_clients.__file__, *words),
        timeout=2 * _SECONDS,
    )
    took, used = json.loads(said)
    return took * 1000, used * 1000


@contextlib.contextmanager
def _dnsmasq(site: Site, guests: int) -> Iterator[None]:
    """A dnsmasq on the floor's node that knows so many guests there."""
    node = site.floor_namespace
    here = site.lab.spec.directory / "leases"
    here.mkdir(exist_ok=True)
    namespaces.configure(
        node,
        f"link add {_BRIDGE} type bridge",
        f"addr add {_GATEWAY}/16 dev {_BRIDGE}",
        f"link set {_BRIDGE} up",
    )
    try:
        _add_guests(node, here / "hosts", guests)
        daemon = LabProcess(
            _command(here), log=here / "dnsmasq.log", namespace=node
        )
        try:
            pid = here / "pid"
            daemon.wait_until(pid.exists)
            yield
            pid.unlink()
        finally:
            daemon.kill()
    finally:
        namespaces.configure(
            node,
            *(f"link del {_GUEST}{number}" for number in range(guests)),
            f"link del {_BRIDGE}",
        )


def _add_guests(node: str, hosts: Path, count: int) -> None:
    """Plug guests in, and write the file that dnsmasq knows them by."""
    lines, known = [], []
    for number in range(count):
        mac = f"fa:16:40:00:{number >> 8:02x}:{number & 255:02x}"
        lines += [
            f"link add {_GUEST}{number} address {mac} type veth "
            f"peer name port{number}",
            f"link set {_GUEST}{number} up",
            f"link set port{number} master {_BRIDGE} up",
            f"link set port{number} type bridge_slave isolated on",
        ]
        known.append(f"{mac},{_GUEST}{number}.novalocal,{_FIRST + number}\n")
    namespaces.configure(node, *lines)
    hosts.write_text("".join(known))


def _command(here: Path) -> list[str]:
    return [
        *["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null"],
        *["--user=root", "--port=0", "--bind-dynamic"],
        *[f"--interface={_BRIDGE}", "--except-interface=lo"],
        *["--dhcp-range=10.210.0.0,static,255.255.0.0,86400s"],
        *["--dhcp-lease-max=65536", "--dhcp-authoritative"],
        *["--dhcp-ignore=tag:!known", "--no-ping", "--log-async"],
        *[f"--dhcp-hostsfile={here}/hosts"],
        *[f"--dhcp-leasefile={here}/leases", f"--pid-file={here}/pid"],
    ]
