"""What passes between two guests of a host, beside a bridge without rules.

The guests of the floor are on a bridge of the floor's node, which hands no
packet to netfilter.
"""

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from flatnet.db import security_groups
from flatnet.lab import namespaces
from flatnet.lab.bench import least, stream
from flatnet.lab.bench.figure import FLOOR, Figure, Goal, Measured
from flatnet.lab.bench.site import Site
from flatnet.lab.daemon import as_user
from flatnet.lab.namespaces import LabError

_PORT = 9000
_GOALS = (Goal(0.95, FLOOR, sign=">="),)
_LONGEST = 2.0
_ROUNDS = 3
_NAMES = ("sender", "receiver")
_FLOOR_ADDRESSES = ("192.0.2.1", "192.0.2.2")
_UNFILTERED = {
    "net/bridge/bridge-nf-call-iptables": "0",
    "net/bridge/bridge-nf-call-ip6tables": "0",
}


@dataclass(frozen=True)
class Pair:
    """Two namespaces, each with an eth0, and the address of the second."""

    sender: str
    receiver: str
    address: str


def throughput(site: Site) -> Measured:
    """Gbit/s of one TCP connection between two guests."""
    return _compared(site, _tcp)


def packets(site: Site) -> Measured:
    """Thousands of small datagrams a second that arrive."""
    return _compared(site, _udp)


FIGURES = (
    Figure("TCP between guests", "Gbit/s", throughput, _GOALS),
    Figure("packets between guests", "1000/s", packets, _GOALS),
)


def _compared(site: Site, look: Callable[[Pair, float], float]) -> Measured:
    """Look at both pairs in turn, so that neither has the quieter times."""
    seconds = min(_LONGEST, site.effort.seconds / 10)
    with _guests(site) as guests, _unfiltered(site) as plain:
        looks = [
            (look(guests, seconds), look(plain, seconds))
            for _ in range(_ROUNDS)
        ]
    values, floors = zip(*looks, strict=True)
    return Measured(statistics.median(values), statistics.median(floors))


def _tcp(pair: Pair, seconds: float) -> float:
    with _listening(pair, "receive") as receiver:
        assert receiver.stdout is not None
        start = time.monotonic()
        namespaces.run(
            _stream(pair.sender, "send", pair.address, str(seconds))
        )
        total = int(receiver.stdout.readline())
        return total * 8 / 1e9 / (time.monotonic() - start)


def _udp(pair: Pair, seconds: float) -> float:
    with _listening(pair, "sink"):
        before, start = _received(pair), time.monotonic()
        namespaces.run(
            _stream(pair.sender, "flood", pair.address, str(seconds))
        )
        return (_received(pair) - before) / 1000 / (time.monotonic() - start)


@contextlib.contextmanager
def _listening(pair: Pair, act: str) -> Iterator[subprocess.Popen[str]]:
    """The receiver's program, once it listens."""
    with subprocess.Popen(
        _stream(pair.receiver, act, pair.address),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as receiver:
        try:
            assert receiver.stdout is not None
            if receiver.stdout.readline() != f"{stream.LISTENS}\n":
                raise LabError("the receiver has ended")
            yield receiver
        finally:
            receiver.kill()


def _stream(namespace: str, *words: str) -> list[str]:
    act, address, *rest = words
    python = [sys.executable, "-I", stream.__file__]
    return namespaces.inside(
        namespace,
        [*as_user(None), *python, act, address, str(_PORT), *rest],
    )


def _received(pair: Pair) -> int:
    path = "/sys/class/net/eth0/statistics/rx_packets"
    return int(namespaces.run(namespaces.inside(pair.receiver, ["cat", path])))


@contextlib.contextmanager
def _guests(site: Site) -> Iterator[Pair]:
    """Two guests whose groups let the traffic in."""
    made = [
        security_groups.create_rule(
            site.database,
            group=site.group,
            protocol=protocol,
            from_port=_PORT,
            to_port=_PORT,
            cidr="0.0.0.0/0",
        )
        for protocol in ("tcp", "udp")
    ]
    with contextlib.ExitStack() as undo:
        for rule in made:
            undo.callback(security_groups.delete_rule, site.database, rule.id)
        wanted = undo.enter_context(site.newcomers(2))
        calls = site.allocate_at_once(wanted)
        (sender, _), (receiver, address) = (
            undo.enter_context(_guest(site, name, vif))
            for name, (vif,) in zip(_NAMES, calls.answers, strict=True)
        )
        yield Pair(sender, receiver, address)


@contextlib.contextmanager
def _guest(
    site: Site, name: str, vif: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    """A guest on its port: its namespace, its address."""
    guest = site.lab.guest(name, node=site.node, vif_uuid=vif["id"])
    try:
        address = vif["network"]["subnets"][0]["ips"][0]["address"]
        _configure(guest.namespace, f"{address}/16", vif["address"])
        yield guest.namespace, address
    finally:
        guest.remove()


@contextlib.contextmanager
def _unfiltered(site: Site) -> Iterator[Pair]:
    """Two guests on a bridge that is only a bridge."""
    node = site.floor_namespace
    namespaces.set_sysctls(node, _UNFILTERED)
    lab = site.lab.spec
    with contextlib.ExitStack() as undo:
        for number, address in enumerate(_FLOOR_ADDRESSES):
            port = f"plain{number}"
            guest = lab.namespace(port)
            namespaces.add(guest)
            undo.callback(namespaces.remove, guest)
            namespaces.configure(
                node,
                f"link add {port} type veth peer name eth0 netns {guest}",
                f"link set {port} master {least.BRIDGE} up",
            )
            _configure(guest, f"{address}/24", "")
        yield Pair(
            lab.namespace("plain0"),
            lab.namespace("plain1"),
            _FLOOR_ADDRESSES[1],
        )


def _configure(namespace: str, address: str, mac: str) -> None:
    lines = [f"link set eth0 address {mac}"] if mac else []
    namespaces.configure(
        namespace, *lines, f"addr add {address} dev eth0", "link set eth0 up"
    )
