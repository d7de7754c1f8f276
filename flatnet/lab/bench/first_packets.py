"""What the first packet of a connection between two guests costs.

All others meet one rule.  The floor is a bridge that tracks connections and
has one rule, which no stateful filter can do without.
"""

import contextlib
from collections.abc import Iterator

from flatnet.lab import namespaces
from flatnet.lab.bench import opening, pairs, script, traffic
from flatnet.lab.bench.figure import FLOOR, Figure, Goal, Measured
from flatnet.lab.bench.pairs import Pair
from flatnet.lab.bench.site import Site
from flatnet.lab.namespaces import LabError

_ROUNDS = 7
_PACKETS = 400
_FIRST_PORT = 20000
# Fewer than a guest may have (`apply.guard_routed`), with those to come.
_MANY = 12000
_GOALS = (Goal(3, FLOOR),)
_RULE = "iptables -{} FORWARD -m conntrack --ctstate NEW -j ACCEPT"


def first_packet(site: Site) -> Measured:
    """Microseconds of one packet from guest to guest, at the least."""
    return _compared(site, held=0)


def one_of_many(site: Site) -> Measured:
    """The same of a guest that has many connections already."""
    return _compared(site, held=_MANY)


def figure(title: str) -> Figure:
    """The figure of hosts that are laid out as is said."""
    return Figure(f"first packet, {title}", "us", first_packet, _GOALS)


ONE_OF_MANY = Figure(
    f"first packet, {_MANY} connections", "us", one_of_many, _GOALS
)


def _compared(site: Site, *, held: int) -> Measured:
    """Look at both pairs some times.

    Others who use the processors only add to what a packet takes: so the
    least of several looks is the packet's own.

    :param held: connections that the sender has before
    """
    with pairs.guests(site) as guests, _tracked(site) as tracked:
        both = (guests, tracked)
        macs = [_mac(pair) for pair in both]
        for pair, mac in zip(both, macs, strict=True):
            if held:
                _look(pair, mac, _FIRST_PORT, held)
        first = _FIRST_PORT + held
        ports = range(first, first + _ROUNDS * _PACKETS, _PACKETS)
        least = [
            min(_look(pair, mac, port, _PACKETS) for port in ports)
            for pair, mac in zip(both, macs, strict=True)
        ]
    value, floor = least
    return Measured(value, floor)


@contextlib.contextmanager
def _tracked(site: Site) -> Iterator[Pair]:
    """Two guests on a bridge that tracks connections."""
    node = site.floor_namespace
    with pairs.plain(site, pairs.EVERYTHING) as pair:
        namespaces.run(namespaces.inside(node, _RULE.format("A").split()))
        try:
            yield pair
        finally:
            namespaces.run(namespaces.inside(node, _RULE.format("D").split()))


def _mac(pair: Pair) -> str:
    """The MAC of the second of a pair."""
    path = f"/sys/class/net/{pairs.DEVICE}/address"
    command = namespaces.inside(pair.receiver, ["cat", path])
    return namespaces.run(command).strip()


def _look(pair: Pair, mac: str, port: int, count: int) -> float:
    """Microseconds of each of so many packets.

    :param port: the first that they are sent from
    """
    before = traffic.received(pair)
    numbers = map(str, (pairs.PORT, port, count))
    said = namespaces.run(
        script.command(
            pair.sender, opening.__file__, pair.address, mac, *numbers
        )
    )
    arrived = traffic.received(pair) - before
    if arrived < count:
        # What is dropped on its way costs less.
        raise LabError(f"{arrived} of {count} first packets arrived")
    return float(said)
