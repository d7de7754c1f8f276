"""The one who serves the daemon, and mends what others do in between.

Goals, and how each is met:

* The last plan stays in force.  When somebody flushes rules, or a port joins
  a bridge of ours, what the last plan says is put back at once, rules and
  guard only; then the daemon is woken for a whole pass.
* Nothing is missed between a look and the next: the subscription is older
  than the first pass, and what a pass took for granted of the bridges was
  read before it and is compared after it.
* Events cost little: many fold into one look, a few each second.
"""

import contextlib
import logging
import os
import select
import socket
import time
from dataclasses import replace

import msgspec

from flatnet.apply import channel
from flatnet.apply.bridge import check_privilege, read_uplinks
from flatnet.apply.checks import uplink_trouble
from flatnet.apply.declines import Declines
from flatnet.apply.dhcp import ask_to_reload
from flatnet.apply.forwarding import closed
from flatnet.apply.found import found_ports
from flatnet.apply.grammar import checked
from flatnet.apply.host import (
    HostPaths,
    Task,
    Tools,
    apply_rules,
    apply_task,
)
from flatnet.apply.known import Known
from flatnet.apply.libnftables import Session
from flatnet.apply.members import Members, members
from flatnet.apply.probes import Met, Probes
from flatnet.apply.shape import Shape, shape
from flatnet.apply.stale import withdraw
from flatnet.apply.standing import Standing, plugged
from flatnet.apply.usage import check_not_emptied
from flatnet.apply.watch import SOMEBODY, Noticed, Watch
from flatnet.exceptions import FlatnetError
from flatnet.state import Changes, Plan

LOG = logging.getLogger("flatnet.applier")
# Seconds between two looks.
_PAUSE = 0.05
# Seconds between two looks at what has no events.
_PROBE = 1.0
# What our own transactions are written by, besides ourselves.
# What is lost of so many events is nearly always about these.
_OWN_TOOLS = ("iptables-", "ip6tables-", SOMEBODY)


class Worker:
    """One connection of the daemon, from the first request to the last."""

    def __init__(
        self,
        connection: socket.socket,
        paths: HostPaths,
        session: Session,
        events: int,
    ) -> None:
        """`events` is a descriptor: a byte there asks for a pass."""
        self._connection = connection
        self._events = events
        self._watch = Watch(has_rules_above=bool(paths.top_regex))
        known = Known(session.proven)
        self._tools = Tools(paths, session, known, self._watch.devices)
        self._standing = Standing()
        self._plan: Plan | None = None
        self._probes = Probes(known)
        self._probed: tuple[Met, ...] = ()
        self._members = Members()
        self._shape: Shape = frozenset()
        # What the last pass could not open; it would not again.
        self._closed: tuple[str, ...] = ()
        # The worker before may have died between the rules and the rest.
        self._owes = True
        self._next_look = 0.0
        self._next_probe = time.monotonic() + _PROBE
        self._declines = Declines()
        self._has_passed = False

    def serve(self) -> int:
        """Answer until the daemon closes; return the exit status."""
        try:
            self._tools.session.forget()
            while True:
                if self._is_asked():
                    self._answer()
                else:
                    self._look()
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            LOG.error("refused a request: %s", error)
            return 1
        except (EOFError, OSError):
            return 0
        except BaseException:
            LOG.exception("the worker cannot go on")
            return 1

    def _is_asked(self) -> bool:
        """Wait for a request, or for something to look at."""
        while True:
            now = time.monotonic()
            if now >= self._next_probe:
                self._probe()
            heard: list[socket.socket] = []
            if self._next_look <= now:
                heard = [*self._watch.sockets, *self._declines.sockets]
            due = min(self._next_probe, max(self._next_look, now))
            pause = self._next_probe - now if heard else due - now
            ready, _, _ = select.select(
                [self._connection, *heard], [], [], max(pause, 0)
            )
            if self._connection in ready:
                return True
            if ready:
                return False

    def _probe(self) -> None:
        """Look at some of what changes without an event."""
        self._next_probe = time.monotonic() + _PROBE
        if self._plan is None:
            return
        changed = self._probes.changed_rules()
        if changed:
            self._mend(self._plan, self._members, changed)
        found = self._probes.mended(self._plan)
        # What cannot be mended is told once, and left to passes.
        new = [each for each in found if each not in self._probed]
        self._probed = found
        for each in new:
            LOG.warning("not as the last pass left it: %s", each)
        if new:
            self._wake()

    def _answer(self) -> None:
        request = channel.receive_request(self._connection)
        if request.work is not None:
            self._look()
        channel.send(self._connection, self._reply(request))
        if request.work is not None:
            self._look(own=_OWN_TOOLS)

    def _reply(self, request: channel.Request) -> channel.Reply:
        try:
            check_privilege()
            if request.prospect is not None:
                return channel.Reply(trouble=uplink_trouble(*request.prospect))
            if request.needed is not None:
                return channel.Reply(changes=withdraw(request.needed))
            if request.work is None:
                return channel.Reply(uplinks=read_uplinks(request.uplinks))
            if not self._standing.has(request.work.base):
                return channel.Reply(lacks_base=True)
            return channel.Reply(changes=self._work(request.work))
        except FlatnetError as error:
            return channel.Reply(error=str(error))

    def _work(self, work: channel.Work) -> Changes:
        if work.whole:
            self._watch.devices.forget()
            self._tools.known.proven.forget()
            self._tools.known.sets.forget()
            self._tools.known.daemons.forget()
        changes = self._apply(*self._standing.begun(work))
        self._standing.done(work)
        return changes

    def _apply(self, wanted: Plan, ports: frozenset[str] | None) -> Changes:
        plan, unfit = checked(wanted, self._tools.known.passed)
        # Before anything else: of such a plan not even rules come into force.
        check_not_emptied(plan, self._tools.devices)
        self._plan = plan
        self._serve_again(plan)
        # A pass that ends with an error may have written rules before.
        owes, self._owes = self._owes, True
        outcome = apply_task(Task(plan, unfit, owes, ports), self._tools)
        self._owes = outcome.owes
        self._members = self._tools.known.guarding.members
        self._standing.note(plan, outcome.changes, ports)
        self._shape = shape(plan, self._tools.devices)
        self._closed = closed(plan.forwarding)
        self._declines.forget(outcome.changes.reloaded)
        self._declines.listen(plan.dhcp_servers)
        return replace(outcome.changes, declined=self._declines.known)

    def _serve_again(self, plan: Plan) -> None:
        """Have servers forget what instances declined that begin anew.

        And all that was declined when there was no worker to hear it.
        """
        self._declines.drain()
        begin = {
            (port.mac, address)
            for bridge in plan.bridges
            for port in bridge.ports
            if port.instance_uuid in plan.renewed
            for address in port.addresses
        }
        bridges = {
            each.bridge
            for each in self._declines.known
            if (each.mac, each.address) in begin
        }
        if not self._has_passed:
            bridges = {each.bridge for each in plan.dhcp_servers}
        self._has_passed = True
        for bridge in sorted(bridges):
            with contextlib.suppress(OSError):
                ask_to_reload(bridge, self._tools.paths.networks_path)

    def _look(self, own: tuple[str, ...] = ()) -> None:
        """Mend what is not as the last plan has it, until it is.

        `own` begins the names of programs that have just worked for us.
        """
        while True:
            noticed = self._watch.drain()
            self._tools.session.proven.carry(noticed.innocent)
            if self._declines.drain():
                self._wake()
            self._next_look = time.monotonic() + _PAUSE
            if self._plan is None:
                return
            now = self._members
            if noticed.links:
                now = self._looked(self._plan)
            foreign = _foreign(noticed, own)
            is_lost = SOMEBODY in noticed.rules
            if not (foreign or is_lost) and now == self._members:
                break
            self._mend(self._plan, now, foreign)
            own = _OWN_TOOLS
        if noticed.links and (
            self._found(self._plan) != self._standing.plugged
            or shape(self._plan, self._tools.devices) != self._shape
            or not set(closed(self._plan.forwarding)) <= set(self._closed)
        ):
            self._wake()

    def _mend(
        self, plan: Plan, now: Members, foreign: tuple[str, ...]
    ) -> None:
        if foreign:
            LOG.error(
                "%s changed rules of flatnet: instances may be open until "
                "they are back",
                ", ".join(foreign),
            )
        self._members = now
        # Who connected while rules were missing is judged by the next pass.
        self._owes = True
        changes = apply_rules(plan, self._tools)
        for effect in changes.made:
            LOG.warning("mended: %s", effect)
        for line in changes.warnings:
            LOG.warning("%s", line)
        for failure in changes.failures:
            LOG.error("%s", failure)
        self._wake()

    def _found(self, plan: Plan) -> dict[str, bool]:
        return plugged(found_ports(plan, Changes(), self._tools.devices))

    def _looked(self, plan: Plan) -> Members:
        if plan.guard is None:
            return Members()
        return members(plan.guard, plan.in_use, self._tools.devices)

    def _wake(self) -> None:
        """Have the daemon make a pass, which sees to the rest and tells it.

        Where the pipe is full nobody needs another byte.
        """
        with contextlib.suppress(BlockingIOError):
            os.write(self._events, b"!")


def _foreign(noticed: Noticed, own: tuple[str, ...]) -> tuple[str, ...]:
    """Who changed rules and is not ourselves.

    In a look that follows what we did ourselves a foreign iptables-restore is
    taken for ours; the next pass sees what it did.
    """
    ourselves = f"({os.getpid()})"
    return tuple(
        who
        for who in noticed.rules
        if not who.endswith(ourselves) and not who.startswith(own)
    )
