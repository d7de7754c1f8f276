"""The main job, shown: two nodes, four guests, each led by its own host.

It places vm_1 and vm_2 on the first node and vm_3 and vm_4 on the second,
in that order, as the article on flat networking of 2012 does, and comes to
its figures: vm_1's default gateway is 10.0.0.1, vm_3's is 10.0.0.4.
"""

import contextlib
import time
from dataclasses import dataclass
from typing import Any

from flatnet.db import instances
from flatnet.db.engine import Database
from flatnet.lab.client import RpcClient
from flatnet.lab.guest import LabGuest
from flatnet.lab.lab import Lab
from flatnet.lab.lease import Lease
from flatnet.lab.node import Node
from flatnet.lab.spec import BRIDGE, OUTSIDE_ADDRESS, LabSpec

CIDR = "10.0.0.0/24"
DOMAIN = "novalocal"
PROJECT = "demo"
# Guest, node, its host's address as the gateway: what has to come out.
PLACEMENT = (
    ("vm_1", 1, "10.0.0.1"),
    ("vm_2", 1, "10.0.0.1"),
    ("vm_3", 2, "10.0.0.4"),
    ("vm_4", 2, "10.0.0.4"),
)


@dataclass(frozen=True)
class Placed:
    """A guest where it is, with what it was allocated and what it got."""

    guest: LabGuest
    node: Node
    gateway: str
    address: str
    mac: str
    lease: Lease
    routes: str


class Checks:
    """What was seen to hold, and what was not."""

    def __init__(self) -> None:
        self.seen = 0
        self.failed: list[str] = []

    def that(self, holds: object, what: str) -> str:
        """Note a check; return its mark."""
        self.seen += 1
        if holds:
            return "ok"
        self.failed.append(what)
        return "FAIL"


def demo(spec: LabSpec) -> int:
    """Run it all and return the exit status: 0 if all was seen to hold."""
    start = time.monotonic()
    checks = Checks()
    heading("Two compute nodes on one switch, one broker, one database")
    with Lab(spec, say=say) as lab:
        placed = _place_guests(lab)
        _show_hosts(lab, placed, checks)
        _show_guests(placed, checks)
        _show_routes(placed)
        _show_pings(placed, checks)
        print(flush=True)
    took = f"{time.monotonic() - start:.0f} s"
    if checks.failed:
        print(f"\nFAILED after {took}: {'; '.join(checks.failed)}")
        return 1
    print(f"\nAll {checks.seen} checks hold; took {took}.")
    return 0


def heading(text: str) -> None:
    print(f"\n=== {text}", flush=True)


def say(line: str) -> None:
    print(f"  {line}", flush=True)


def _place_guests(lab: Lab) -> list[Placed]:
    heading(f"Network {CIDR}; instances as rows, allocated over RPC")
    lab.cli("network", "create", "flat", "--cidr", CIDR)
    rpc = lab.rpc()
    with contextlib.closing(Database(lab.database_url)) as database:
        return [
            _place(lab, rpc, database, hostname, number, gateway)
            for hostname, number, gateway in PLACEMENT
        ]


def _place(
    lab: Lab,
    rpc: RpcClient,
    database: Database,
    hostname: str,
    number: int,
    gateway: str,
) -> Placed:
    """Write an instance's row, allocate for it and start its guest."""
    node = lab.node(number)
    row = instances.create(
        database, hostname=hostname, host=node.name, project_id=PROJECT
    )
    vif = rpc.call(
        "allocate_for_instance",
        instance_id=row.uuid,
        host=node.name,
        project_id=PROJECT,
    )[0]
    address = _address(vif)
    guest = lab.guest(hostname, node=node, vif_uuid=vif["id"])
    lease = guest.dhcp()
    say(
        f"{hostname} on {node.name}: allocated {address}, its DHCP client "
        f"got {lease.address} from {lease.server}"
    )
    return Placed(
        guest=guest,
        node=node,
        gateway=gateway,
        address=address,
        mac=vif["address"],
        lease=lease,
        routes=guest.routes(),
    )


def _address(vif: dict[str, Any]) -> str:
    address: str = vif["network"]["subnets"][0]["ips"][0]["address"]
    return address


def _show_hosts(lab: Lab, placed: list[Placed], checks: Checks) -> None:
    for node in lab.nodes:
        mine = [each for each in placed if each.node is node]
        heading(f"Host {node.name}")
        shown = node.run(f"ip -4 -br addr show dev {BRIDGE}").split()[2:]
        wanted = [f"{mine[0].gateway}/24"]
        mark = checks.that(
            shown == wanted,
            f"{node.name}: {BRIDGE} has {shown} instead of {wanted}",
        )
        say(f"{BRIDGE}  {' '.join(shown):<36}{mark}")
        text = node.hosts_text(BRIDGE)
        expected = "".join(
            f"{each.mac},{each.guest.hostname}.{DOMAIN},{each.address}\n"
            for each in mine
        )
        mark = checks.that(
            text == expected,
            f"{node.name}: its hosts file is not just its own guests' lines",
        )
        say(
            f"{f'{node.spec.networks_path.name}/flatnet-{BRIDGE}.hosts':<43}{mark}"
        )
        for line in text.splitlines():
            say(f"  {line}")


def _show_guests(placed: list[Placed], checks: Checks) -> None:
    heading("Guests, as their DHCP clients see it")
    say(f"{'guest':<7}{'host':<8}{'address':<16}{'gateway':<12}server")
    for each in placed:
        lease, name = each.lease, each.guest.hostname
        mark = checks.that(
            lease.address == each.address,
            f"{name}: leased {lease.address}, allocated {each.address}",
        )
        for what, found in (
            ("gateway", each.guest.gateway()),
            ("router option", lease.router),
            ("DHCP server", lease.server),
        ):
            text = f"{name}: {what} is {found} instead of {each.gateway}"
            if checks.that(found == each.gateway, text) != "ok":
                mark = "FAIL"
        say(
            f"{name:<7}{each.node.name:<8}{lease.address:<16}"
            f"{lease.router:<12}{lease.server:<12}{mark}"
        )


def _show_routes(placed: list[Placed]) -> None:
    for each in placed:
        print(f"\nroot@{each.guest.hostname}:~# route -n")
        print(each.routes.rstrip(), flush=True)


def _show_pings(placed: list[Placed], checks: Checks) -> None:
    heading(f"Pings between guests, and to the outside ({OUTSIDE_ADDRESS})")
    names = [each.guest.hostname for each in placed]
    say(f"{'from':<7}{''.join(f'{name:<7}' for name in names)}outside")
    for source in placed:
        marks = [
            "-"
            if target is source
            else _ping(source, target.guest.hostname, target.address, checks)
            for target in placed
        ]
        marks.append(_ping(source, "the outside", OUTSIDE_ADDRESS, checks))
        row = "".join(f"{mark:<7}" for mark in marks)
        say(f"{source.guest.hostname:<7}{row}".rstrip())


def _ping(source: Placed, name: str, address: str, checks: Checks) -> str:
    return checks.that(
        source.guest.ping(address),
        f"{source.guest.hostname} cannot ping {name}",
    )
