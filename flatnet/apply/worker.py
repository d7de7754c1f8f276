"""The one who serves the daemon, and looks at what others do in between.

What comes of a look is the `mender`'s.  Events cost little: many fold into
one look, a few each second.
"""

import contextlib
import logging
import select
import socket
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import msgspec

from flatnet import heap
from flatnet.apply import channel
from flatnet.apply.applied import Applied
from flatnet.apply.dhcp.declines import Declines
from flatnet.apply.dhcp.dhcp import ask_to_reload
from flatnet.apply.events import ANYTHING, HOST, Teller
from flatnet.apply.filter.connections.owed_cuts import EVERYTHING, NOTHING
from flatnet.apply.filter.guard.digests import KeptDigests
from flatnet.apply.filter.guard.guard import FAMILIES, Guarding, read_tables
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.iptables.rendering import Rendering
from flatnet.apply.filter.iptables.saved import confirm, read_back, tables_key
from flatnet.apply.grammar.plan import checked
from flatnet.apply.host import (
    HostPaths,
    Task,
    Tools,
    apply_task,
)
from flatnet.apply.link.bridge import check_privilege
from flatnet.apply.link.bridge_checks import uplink_trouble
from flatnet.apply.link.port_usage import check_not_emptied
from flatnet.apply.link.stale_ports import withdraw
from flatnet.apply.link.uplinks import Uplinks, read_uplinks
from flatnet.apply.mender import Mender
from flatnet.apply.watch import Watch
from flatnet.apply.worker_cache import WorkerCache
from flatnet.exceptions import FlatnetError
from flatnet.state.changes import Changes
from flatnet.state.plan import Plan

LOG = logging.getLogger("flatnet.applier")
# Seconds between two looks.
_PAUSE = 0.05
# Seconds between two looks at what has no events: what these find is to be as
# it was within one.
_PROBE = 0.9
# Profiles that no guest has any more, and that stay until a whole pass.
_MOST_DEPARTED = 128


class Worker:
    """One connection of the daemon, from the first request to the last."""

    def __init__(
        self,
        connection: socket.socket,
        paths: HostPaths,
        session: Session,
        events: int,
    ) -> None:
        """`events` is a descriptor: what happens is told there."""
        self._connection = connection
        self._watch = Watch(has_foreign_openings=bool(paths.top_regex))
        known = WorkerCache(
            session.proven,
            rendering=Rendering(_MOST_DEPARTED),
            guarding=Guarding(KeptDigests(paths.networks_path, FAMILIES)),
        )
        self._tools = Tools(paths, session, known, self._watch.devices)
        self._applied = Applied()
        self._teller = Teller(events)
        self._mender = Mender(self._tools, self._watch, self._teller)
        # The worker before may have died between the rules and the rest.
        self._owed = EVERYTHING
        self._next_look = 0.0
        self._next_probe = time.monotonic() + _PROBE
        self._declines = Declines()
        self._uplinks = Uplinks()
        self._has_passed = False
        self._is_privileged = False

    def serve(self) -> int:
        """Answer until the daemon closes; return the exit status."""
        try:
            self._tools.session.forget()
            if not self._ready(0):
                # The daemon is not as far yet, and will ask for all.
                self._read_ahead()
            while True:
                if self._is_asked():
                    self._answer()
                else:
                    self._look()
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            LOG.error("refused a request: %s", error)
            return 1
        except (EOFError, ConnectionError):
            return 0
        except BaseException:
            LOG.exception("the worker cannot go on")
            return 1

    def _is_asked(self) -> bool:
        """Wait for a request, or for something to look at."""
        while True:
            if time.monotonic() >= self._next_probe:
                self._probe()
            if self._watch.devices.has_news:
                return bool(self._ready(self._next_look))
            heard: tuple[socket.socket | int, ...] = (
                *self._watch.sockets,
                *self._declines.sockets,
                *self._mender.probes.descriptors,
                *self._tools.known.rates.descriptors,
            )
            ready = self._ready(min(self._next_probe, self._mender.due), heard)
            if not ready:
                if time.monotonic() >= self._mender.due:
                    return False
                continue
            if self._connection in ready:
                return True
            # Of what goes on all is looked at together, a few times a second.
            return bool(self._ready(self._next_look))

    def _ready(
        self, until: float, heard: Iterable[socket.socket | int] = ()
    ) -> list[socket.socket | int]:
        """Wait for a request, or for something of this to be heard."""
        seconds = max(until - time.monotonic(), 0)
        ready, _, _ = select.select(
            [self._connection, *heard], [], [], seconds
        )
        return ready

    def _probe(self) -> None:
        """Look at some of what changes without an event."""
        self._next_probe = time.monotonic() + _PROBE
        self._mender.probe()
        known = self._tools.known
        confirm(known.proven, known.presumed)
        if known.elsewhere.is_overdue:
            self._teller.tell(HOST)

    def _answer(self) -> None:
        request = channel.receive_request(self._connection)
        if request.work is not None:
            self._look()
        channel.send(self._connection, self._reply(request))
        if request.work is not None:
            self._look()
            known = self._tools.known
            read_back(known.proven, known.unread)
            if request.work.base is None:
                # All that there is was received and rendered at once.
                heap.trim()
        elif not self._has_passed:
            self._read_ahead()

    def _read_ahead(self) -> None:
        """Read what the first pass will ask for, while the daemon reads rows.

        What cannot be read is for that pass to tell.
        """
        known, devices = self._tools.known, self._tools.devices
        read_back(known.proven, {4, 6})
        for read in (
            known.sets.read,
            devices.named,
            partial(read_tables, self._tools.session),
        ):
            with contextlib.suppress(FlatnetError, OSError):
                read()

    def _reply(self, request: channel.Request) -> channel.Reply:
        try:
            self._check_privilege()
            if request.prospect is not None:
                return channel.Reply(trouble=uplink_trouble(*request.prospect))
            if request.needed is not None:
                return channel.Reply(changes=withdraw(request.needed))
            if request.work is None:
                self._uplinks.restore(request.uplinks, self._watch.devices)
                return channel.Reply(uplinks=read_uplinks(request.uplinks))
            if not self._applied.has(request.work.base):
                return channel.Reply(lacks_base=True)
            return self._worked(request.work)
        except FlatnetError as error:
            return channel.Reply(error=str(error))

    def _check_privilege(self) -> None:
        """Check it once: nobody takes it from a process that runs."""
        if not self._is_privileged:
            check_privilege()
        self._is_privileged = True

    def _worked(self, work: channel.Work) -> channel.Reply:
        changes = self._work(work)
        if self._applied.is_as_found(work, changes.ports):
            changes = replace(changes, ports=())
            return channel.Reply(changes=changes, as_found=True)
        return channel.Reply(changes=changes)

    def _work(self, work: channel.Work) -> Changes:
        # What was read before the first pass is as true as what it would read.
        if work.base is None and self._has_passed:
            self._tools.known.proven.forget()
            self._watch.devices.forget()
            self._tools.known.daemons.forget()
        if work.whole:
            self._watch.devices.doubt()
            self._tools.known.proven.forget_carried()
            for family in self._tools.known.presumed:
                self._tools.known.proven.drop(tables_key(family))
            self._tools.known.sets.forget()
            self._tools.known.rendering.collect()
            self._tools.known.daemons.doubt()
        changes = self._apply(*self._applied.begun(work))
        self._applied.done(work)
        return changes

    def _apply(self, wanted: Plan, ports: frozenset[str] | None) -> Changes:
        plan, unfit = checked(wanted, self._tools.known.passed)
        # Before anything else: of such a plan not even rules come into force.
        check_not_emptied(plan, self._tools.devices)
        self._mender.begin(plan)
        self._serve_again(plan)
        # A pass that ends with an error may have written rules before.
        owed = self._owed | self._mender.owed
        self._owed, self._mender.owed = EVERYTHING, NOTHING
        outcome = apply_task(Task(plan, unfit, owed, ports), self._tools)
        self._owed = outcome.owed
        self._applied.note(plan, outcome.changes, ports)
        self._uplinks.note(plan, self._watch.devices)
        self._mender.note(plan, self._applied.plugged, outcome.changes)
        self._declines.forget(outcome.changes.reloaded)
        self._declines.listen(plan.dhcp_servers)
        return replace(
            outcome.changes,
            declined=self._declines.known,
            fights=self._mender.fights,
        )

    def _serve_again(self, plan: Plan) -> None:
        """Have servers forget what instances declined that begin anew.

        And all that was declined when there was no worker to hear it.
        """
        self._declines.drain()
        bridges = set()
        if declined := self._declines.known:
            begin = {
                (port.mac, address)
                for port in plan.ports.values()
                if port.instance_uuid in plan.renewed
                for address in port.addresses
            }
            bridges = {
                each.bridge
                for each in declined
                if (each.mac, each.address) in begin
            }
        if not self._has_passed:
            bridges = {each.bridge for each in plan.dhcp_servers}
        self._has_passed = True
        for bridge in sorted(bridges):
            with contextlib.suppress(OSError):
                ask_to_reload(bridge, self._tools.paths.networks_path)

    def _look(self) -> None:
        """See to what happened."""
        if self._declines.drain():
            self._teller.tell(ANYTHING)
        self._next_look = time.monotonic() + _PAUSE
        self._mender.look()
        self._tools.known.restorers.prepare()
        if self._mender.rest:
            self._next_look = time.monotonic() + self._mender.rest
