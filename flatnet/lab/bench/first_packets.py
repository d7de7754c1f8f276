"""What the first packet of a connection between two guests costs.

All others meet one rule.  The floor is a bridge that tracks connections and
has one rule, which no stateful filter can do without.
"""

from functools import partial

from flatnet.lab import namespaces
from flatnet.lab.bench import opening, pairs, script, traffic
from flatnet.lab.bench.figure import FLOOR, Figure, Goal, Measured
from flatnet.lab.bench.pairs import Pair
from flatnet.lab.bench.site import Site
from flatnet.lab.namespaces import LabError

_ROUNDS = 7
_PACKETS = 400
_FIRST_PORT = 20000
# Fewer than a guest may have (`guard.routed`), with those to come.
_MANY = 12000
_GOALS = (Goal(3, FLOOR),)


def first_packet(site: Site, *, groups: int, held: int) -> Measured:
    """Microseconds of one packet from guest to guest.

    Others who use the processors only add to what a packet takes: so the
    least of several looks is the packet's own.

    :param groups: of each of the two
    :param held: connections that the sender has before
    """
    with pairs.guests(site, groups) as guests, pairs.tracked(site) as tracked:
        return Measured(_least(guests, held), _least(tracked, held))


BY_GROUPS = tuple(
    Figure(
        f"first packet, {groups} of 1000 groups",
        "us",
        partial(first_packet, groups=groups, held=0),
        _GOALS,
    )
    for groups in (1, 5, 10)
)
ONE_OF_MANY = Figure(
    f"first packet, {_MANY} connections",
    "us",
    partial(first_packet, groups=1, held=_MANY),
    _GOALS,
)


def _least(pair: Pair, held: int) -> float:
    """The least of some looks at a pair whose sender has connections."""
    mac = _mac(pair)
    if held:
        _look(pair, mac, _FIRST_PORT, held)
    first = _FIRST_PORT + held
    ports = range(first, first + _ROUNDS * _PACKETS, _PACKETS)
    return min(_look(pair, mac, port, _PACKETS) for port in ports)


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
