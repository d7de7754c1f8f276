"""Ports that send and take no more than their rate.

What goes to a guest is queued by its port.  What comes from it cannot be
queued where it comes in: it is sent through a device of its own (`ifb`), which
queues it and gives it back to the port.  So a guest that sends too much is
slowed down, and loses nothing before its queue is full.

Goals, and how each is met:

* A rate that becomes another is changed in place, and no packet is lost.
* Nothing foreign is touched: a port that queues by what somebody else has set
  stays as it is, with a warning; filters of others on the port stay beside
  ours.
* It costs nothing where no port has a rate.  Where ports have one, what was
  set stays known until the kernel tells of a change: nothing is asked again.
* Who removes what keeps a rate has it back: the kernel tells (`undone`).

Given up: what a port that has just been made lets through before its rate is
set, some milliseconds long; and what waits in a queue when a port is to have
no rate any more.
"""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flatnet.apply import netlink
from flatnet.apply.link import tc
from flatnet.apply.link.device_reads import Reads
from flatnet.apply.link.link import Link
from flatnet.apply.link.links import ERRORS, LinkPass, link_pass
from flatnet.apply.link.shapers import (
    gone,
    is_of_ours,
    made,
    port_of,
    shaper_name,
)
from flatnet.apply.link.subscription import received, subscribed
from flatnet.state.changes import Changes
from flatnet.state.effects import Effect, Subject, Surface, Verb
from flatnet.state.plan import Plan, Port
from flatnet.state.sliced_collections import SlicedMap

Names = frozenset[str] | None
Pairs = Iterable[tuple[Link | None, Link | None]]
Queues = Mapping[tuple[int, int], tc.Qdisc]
# From linux/rtnetlink.h.
_TRAFFIC_CONTROL = 4
# Of a frame beside its IP packet: a rate is of packets, and the kernel counts
# frames.
_HEADER = 14
# What may go at once: that much time, and what a guest hands over at once.
_BURST_SECONDS, _LEAST_BURST = 0.004, 15_000
# How long a packet may wait.
_QUEUE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _Kept:
    """What keeps a port's rate: bit/s, the port's device, and its shaper."""

    rate: int
    device: int
    mtu: int
    shaper: Link


class Rates:
    """What one process knows of the rates in its namespace."""

    def __init__(self) -> None:
        self._planned = SlicedMap[str, Port]()
        self._rated: dict[str, Port] = {}
        self._kept: dict[str, _Kept] = {}
        # To be looked at, whoever a pass is about.
        self._doubtful: set[str] = set()
        self._events: socket.socket | None = None
        self._has_looked = False

    @property
    def descriptors(self) -> tuple[socket.socket, ...]:
        """What becomes readable when somebody changes what keeps a rate."""
        return () if self._events is None else (self._events,)

    def mend(self, plan: Plan, devices: Reads, names: Names) -> Changes:
        """Have the ports that a pass is about keep their rates.

        :param names: of those ports, none for all
        """
        self._follow(plan)
        if not self._has_looked:
            self._doubtful |= _left(devices)
            self._has_looked = True
        if not (self._rated or self._kept or self._doubtful):
            return Changes()
        if self._events is None:
            self._events = subscribed(netlink.ROUTE, (_TRAFFIC_CONTROL,))
        self._hear()
        wrong = self._wrong(devices, names)
        if not wrong:
            return Changes()
        with link_pass(devices) as host:
            self._bring(host, wrong)
            self._hear(own=self._indexes(wrong))
            # What others did at the same time was told with what we did.
            self._bring(host, wrong & self._kept.keys())
            return Changes(
                tuple(host.made),
                tuple(host.failures),
                tuple(dict.fromkeys(host.warnings)),
            )

    def undone(self, moved: Pairs) -> frozenset[str]:
        """Return the ports whose rate somebody may have undone.

        :param moved: what happened to devices, as before and after
        """
        before = frozenset(self._doubtful)
        self._hear()
        for was, now in moved:
            port = port_of(was) if was else None
            if port in self._kept and self._kept[port].shaper != now:
                self._doubtful.add(port)
        return frozenset(self._doubtful - before)

    def _indexes(self, names: Iterable[str]) -> frozenset[int]:
        """The indexes of the devices by which some ports keep their rates."""
        kept = [self._kept[name] for name in names if name in self._kept]
        return frozenset(i for e in kept for i in (e.device, e.shaper.index))

    def _follow(self, plan: Plan) -> None:
        """Know which ports of a plan have a rate."""
        put, dropped = plan.ports.differing(self._planned)
        self._planned = plan.ports
        for name in dropped:
            self._rated.pop(name, None)
        for name in put:
            self._rated.pop(name, None)
            if plan.ports[name].rate:
                self._rated[name] = plan.ports[name]

    def _hear(self, own: frozenset[int] = frozenset()) -> None:
        """Doubt what others have changed; `own` are devices that we did."""
        for data in received(self._events) if self._events else ():
            if data is None:
                self._doubtful |= self._kept.keys()
                continue
            touched = {
                tc.MESSAGE.unpack_from(body)[1]
                for _, body in netlink.messages(data)
            }
            if touched := touched - own:
                self._doubtful.update(
                    name
                    for name, kept in self._kept.items()
                    if not touched.isdisjoint((kept.device, kept.shaper.index))
                )

    def _wrong(self, devices: Reads, names: Names) -> set[str]:
        """The ports that may not be as planned, of those that are there."""
        there = devices.named()
        wrong = self._doubtful | (self._kept.keys() - self._rated.keys())
        for name in self._rated if names is None else names:
            port, device = self._rated.get(name), there.get(name)
            if port is None or (device is None and name not in self._kept):
                continue
            if not device or not self._keeps(port, device, there):
                wrong.add(name)
        return wrong

    def _keeps(
        self, port: Port, device: Link, there: Mapping[str, Link]
    ) -> bool:
        """Whether a port was given its rate, by all that is known."""
        kept = self._kept.get(port.name)
        return (
            kept is not None
            and kept.shaper == there.get(kept.shaper.name)
            and (kept.rate, kept.device, kept.mtu)
            == (port.rate, device.index, device.mtu)
        )

    def _bring(self, host: LinkPass, names: Iterable[str]) -> None:
        """Have ports keep their rates, or none; each fails alone."""
        of_names = (n for name in names for n in (name, shaper_name(name)))
        there = filter(None, map(host.links.get, of_names))
        queues = tc.qdiscs({each.index for each in there})
        for name in sorted(names):
            port = self._rated.get(name)
            self._kept.pop(name, None)
            self._doubtful.discard(name)
            try:
                if port and name in host.links:
                    self._kept[name] = _shaped(host, port, queues)
                else:
                    _unshaped(host, name, queues)
            except ERRORS as error:
                self._doubtful.add(name)
                uuids = (port.instance_uuid,) if port else ()
                host.fail(Subject(Surface.PORT, name), error, uuids)


def _left(devices: Reads) -> set[str]:
    """The ports that a process before has shaped, whatever is planned."""
    there = devices.named()
    names = {each.index: each.name for each in there.values()}
    shaped = {
        names[index]
        for (index, parent), each in tc.qdiscs().items()
        if each.ours and parent == tc.ROOT and index in names
    }
    found = {name for name in shaped if not is_of_ours(there[name])}
    return found | {
        port
        for each in there.values()
        if is_of_ours(each) and (port := port_of(each))
    }


def _shaped(host: LinkPass, port: Port, queues: Queues) -> _Kept:
    """Have a port keep its rate.

    :raises HostSetupError, OSError: this kernel cannot, or refuses
    """
    link, shaper = host.links[port.name], made(host, port)
    if _limit(host, port, link, queues):
        _tell(host, Verb.SET, port.name, f"{port.rate} bit/s to its guest")
    came = _limit(host, port, shaper, queues)
    if (target := tc.redirected(link.index)) != shaper.index:
        if target is not None:
            tc.unredirect(link.index, queues.get((link.index, tc.INGRESS)))
        tc.redirect(link.index, shaper.index)
        came = True
    if came:
        _tell(host, Verb.SET, port.name, f"{port.rate} bit/s from its guest")
    return _Kept(port.rate, link.index, link.mtu, shaper)


def _limit(host: LinkPass, port: Port, link: Link, queues: Queues) -> bool:
    """Have a device send a port's rate at most; return whether it was set."""
    now = queues.get((link.index, tc.ROOT))
    if now and now.number and not now.ours:
        host.warnings.append(
            f"port {port.name}: somebody has set qdisc {now.kind} on "
            f"{link.name}, which stays; what is sent by it has no rate"
        )
        return False
    mtu = host.links[port.name].mtu
    rate = port.rate * (mtu + _HEADER) // mtu // 8
    burst = max(int(rate * _BURST_SECONDS), _LEAST_BURST, mtu + _HEADER)
    limit = burst + int(rate * _QUEUE_SECONDS)
    if now and (now.rate, now.limit) == (rate, limit):
        return False
    tc.shape(link.index, rate=rate, burst=burst, limit=limit)
    return True


def _unshaped(host: LinkPass, name: str, queues: Queues) -> None:
    """Let a port have no rate any more, as far as it is there."""
    link = host.links.get(name)
    if link is not None:
        if tc.redirected(link.index) is not None:
            tc.unredirect(link.index, queues.get((link.index, tc.INGRESS)))
            _tell(host, Verb.REMOVED, name, "the rate from its guest")
        now = queues.get((link.index, tc.ROOT))
        if now and now.ours:
            tc.unshape(link.index)
            _tell(host, Verb.REMOVED, name, "the rate to its guest")
    gone(host, shaper_name(name))


def _tell(host: LinkPass, verb: Verb, name: str, what: str) -> None:
    host.made.append(Effect(Surface.PORT, verb, name, what))
