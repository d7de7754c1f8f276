"""What others do between passes: rules mended at once, the rest asked for.

Goals, and how each is met:

* The last plan stays in force.  When somebody flushes rules, or a port joins
  a bridge of ours, what the last plan says is put back at once, rules and
  guard only; then the daemon is asked for a pass that looks at no guest and
  judges who connected meanwhile, or for a whole one where that has failed.
* Nothing is missed between a look and the next: the subscription is older
  than the first pass, and what others do during a pass is told by device.
* Events cost little: many fold into one look, a few each second, and each is
  judged by the device that it is about.  The daemon is asked for what a
  guest's port is about, and not for a whole pass.
* A guest that comes and goes all the time, or a program that undoes each
  repair, costs less and less (`backoff`, `fights`).  Rules are put back each
  time, with rests in between, and passes are asked for less and less.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from itertools import chain

from flatnet.apply import events
from flatnet.apply.backoff import Backoff
from flatnet.apply.events import ANYTHING, HOST, Happened, Teller
from flatnet.apply.fights import RULES, Fights
from flatnet.apply.filter.connections import owed_cuts
from flatnet.apply.foreign import Foreign
from flatnet.apply.host import Tools, apply_rules
from flatnet.apply.link.device_changes import DeviceChanges
from flatnet.apply.link.forwarding import closed, left_closed
from flatnet.apply.link.relevant_events import (
    NOTHING,
    Concern,
    Subjects,
    concern,
    subjects,
)
from flatnet.apply.link.strangers import Strangers, strangers, ways
from flatnet.apply.probes import Met, Probes
from flatnet.apply.rule_writers import SOMEBODY, program
from flatnet.apply.watch import Watch
from flatnet.state.changes import Changes, Fight
from flatnet.state.effects import Subject, Surface
from flatnet.state.plan import Plan

LOG = logging.getLogger("flatnet.applier")
# A guest's coming and going is told at once so many times a minute.
_FREELY = 2
# Who fights about rules is given a quarter of the time of a core at most; what
# he did last is put back within a second all the same.
_REST, _LONGEST_REST = 3.0, 0.5
_OPEN = "instances may have been open until they were back"


class Mender:
    """Knows the last plan that a worker applied, and keeps it in force."""

    def __init__(self, tools: Tools, watch: Watch, teller: Teller) -> None:
        self._tools = tools
        self._watch = watch
        self._teller = teller
        self._plan: Plan | None = None
        # What devices are to the plan that a pass has left; a pass about
        # which nothing happened need not know.
        self._make_subjects: Callable[[], Subjects] = Subjects
        self._strangers = Strangers()
        # Which devices should forward and were found not to.
        self._closed: frozenset[str] = frozenset()
        self._plugged: Mapping[str, bool] = {}
        self.probes = Probes(tools.known, tools.devices)
        self._fights = Fights()
        self._foreign = Foreign(tools)
        self._carriers = Backoff[str](freely=_FREELY)
        # Seconds until the next look, beside those that are always left.
        self.rest = 0.0
        # Who may have been open while rules were missing, and nobody has
        # judged since who connected meanwhile.
        self.owed = owed_cuts.NOTHING

    @property
    def _subjects(self) -> Subjects:
        return self._make_subjects()

    @property
    def due(self) -> float:
        """When there is something to look at, by the clock of `monotonic`."""
        return self._foreign.due

    @property
    def fights(self) -> tuple[Fight, ...]:
        """What somebody undoes again and again, by now."""
        return self._fights.shown(now=time.monotonic(), time=time.time())

    def begin(self, plan: Plan) -> None:
        """Note the plan that a pass begins to apply."""
        self._plan = plan

    def note(
        self, plan: Plan, plugged: Mapping[str, bool], changes: Changes
    ) -> None:
        """Note what a pass left: carriers by port, what does not forward."""
        self._strangers = self._tools.known.guarding.strangers
        self._make_subjects = cache(partial(subjects, plan))
        self._closed = left_closed(changes)
        self._plugged = plugged
        self.probes.note(plan, changes.made)

    def look(self) -> None:
        """Mend what is not as the last plan has it, until it is.

        In a fight it is done once, and then there is a rest.
        """
        self.rest, start = 0.0, time.monotonic()
        if self._plan is not None:
            self._see_to(self.probes.noticed(self._plan))
            self._put_back(self._plan, self.probes.heard_of_rules())
        while self._look():
            if self._fights.is_open(RULES):
                took = time.monotonic() - start
                self.rest = min(took * _REST, _LONGEST_REST)
                break
        else:
            # All that they did was heard by now.
            self._tools.known.own.forget()
        self._ask()

    def _look(self) -> bool:
        """Mend what was heard of; return whether there was anything."""
        noticed = self._watch.drain()
        self._tools.session.proven.carry(noticed.carried)
        if self._plan is None:
            return False
        found = self._concern(noticed.moved)
        there = self._who_is_there(self._plan, found)
        self._note_undone(found, noticed.moved)
        if noticed.moved.settings or noticed.moved.links:
            self._look_at_forwarding(self._plan)
        foreign, is_lost = self._foreign.heard(noticed)
        if not (foreign or is_lost) and there == self._strangers:
            return False
        changes = self._mend(self._plan, there, foreign, is_lost=is_lost)
        if is_lost or changes.failures:
            self._teller.tell(ANYTHING)
        elif not foreign:
            # Who has joined a bridge changes what passes say of the guard.
            self._teller.tell(HOST)
        return True

    def probe(self) -> None:
        """Look at some of what changes without an event."""
        # What did not go into the pipe before.
        self._teller.tell(events.NOTHING)
        if self._plan is None:
            return
        self._put_back(self._plan, self.probes.changed_rules())
        self._see_to(self.probes.mended(self._plan))
        now = time.monotonic()
        self._carriers.ended(now)
        for line in self._fights.ended(now):
            LOG.warning("%s", line)
            self._teller.tell(ANYTHING)
        self._ask()

    def _see_to(self, met: Iterable[Met]) -> None:
        """Have a pass look at what was met, and say so."""
        for each in met:
            if not self._fights.is_open(each.subject):
                LOG.warning("not as the last pass left it: %s", each)
            self._note_repair(each.subject)
            # A pass is to see what a port has, which no event told.
            if each.subject.surface == Surface.PORT:
                with contextlib.suppress(OSError):
                    self._watch.devices.reread(str(each.subject.key))

    def _concern(self, moved: DeviceChanges) -> Concern:
        devices = self._watch.devices
        found = NOTHING
        if moved.links or moved.addresses:
            known = self._subjects
            found = concern(moved, known, devices.find, devices.addresses)
        if moved.lost:
            self._teller.tell(ANYTHING)
            found |= Concern(members=True)
        return found

    def _who_is_there(self, plan: Plan, found: Concern) -> Strangers:
        """Who is on the bridges now, if that may have changed."""
        guard, known = plan.guard, self._strangers
        devices = self._tools.devices
        if guard is None:
            return Strangers()
        is_other = found.members or (
            found.ways and ways(guard, plan.in_use, devices) != known.carriers
        )
        if is_other:
            return strangers(guard, plan.in_use, devices)
        return known

    def _note_undone(self, found: Concern, moved: DeviceChanges) -> None:
        names = found.ports | self._tools.known.rates.undone(moved.links)
        ports = {Subject(Surface.PORT, name) for name in names}
        for each in sorted(found.others | ports, key=str):
            self._note_repair(each, self._who(str(each.key), moved))
        now = time.monotonic()
        for name in found.external | found.carriers:
            if self._is_news(name):
                self._carriers.count(name, now)
                self._carriers.ask(name, now)

    def _note_repair(self, what: Subject, who: str = SOMEBODY) -> None:
        """Note that a pass is to repair something."""
        self._fights.to_repair(what, who, time.monotonic())

    def _who(self, name: str, moved: DeviceChanges) -> str:
        """Who changed a device or its addresses, if the kernel says so."""
        ports = [
            moved.askers[each.index]
            for each in (self._watch.devices.find(name), *chain(*moved.links))
            if each and each.name == name and each.index in moved.askers
        ]
        return program(ports[-1]) if ports else SOMEBODY

    def _is_news(self, name: str) -> bool:
        """Whether a guest's carrier is another than was told."""
        if name in self._subjects.external:
            return True
        find = self._watch.devices.find
        device, bridge = find(name), find(self._subjects.ports.get(name, ""))
        is_on = device and bridge and device.master == bridge.index
        carrier = device.carrier if device and is_on else None
        return carrier != self._plugged.get(name)

    def _look_at_forwarding(self, plan: Plan) -> None:
        known, self._closed = self._closed, frozenset(closed(plan.forwarding))
        for device in sorted(self._closed - known):
            self._note_repair(Subject(Surface.FORWARDING, device))
            self._tools.known.skipped_steps.forget()

    def _put_back(self, plan: Plan, changed: tuple[str, ...]) -> None:
        """Put back what those changed by what has no events."""
        if changed:
            self._mend(plan, self._strangers, changed, is_lost=False)

    def _mend(
        self,
        plan: Plan,
        there: Strangers,
        foreign: tuple[str, ...],
        *,
        is_lost: bool,
    ) -> Changes:
        """Put back what `foreign` changed, or, if `is_lost`, nobody knows."""
        is_told = bool(foreign) and self._fights.is_open(RULES)
        self._strangers = there
        changes = apply_rules(plan, self._tools)
        who = ", ".join(foreign)
        # A policy or a new chain changes none of ours; a sleeper woken warns.
        is_other = changes.made or changes.failures or changes.warnings
        if foreign and not is_other:
            LOG.info("%s touched rules of flatnet, which are as before", who)
        elif foreign:
            self._fights.to_repair(RULES, who, time.monotonic())
            if not is_told:
                LOG.error("%s changed rules of flatnet: %s", who, _OPEN)
        # Who connected while rules were missing is judged by the next pass;
        # nobody can tell what somebody else had made of them.
        self.owed |= owed_cuts.after(changes, plan.filter)
        if foreign or is_lost:
            self.owed = owed_cuts.EVERYTHING
        mended = [f"mended: {effect}" for effect in changes.made]
        for line in () if is_told else (*mended, *changes.warnings):
            LOG.warning("%s", line)
        for failure in changes.failures:
            LOG.error("%s", failure)
        return changes

    def _ask(self) -> None:
        """Ask for passes about what is due, and tell of new fights."""
        now = time.monotonic()
        asked = events.NOTHING
        for what in self._fights.due(now):
            asked |= self._asked(what)
        for name in filter(self._is_news, self._carriers.due(now)):
            asked |= Happened(ports=(name,))
        self._teller.tell(asked)
        for line in self._fights.begun():
            LOG.error("%s", line)

    def _asked(self, what: Subject) -> Happened:
        """What to ask for to have something repaired; rules are by now."""
        if what == RULES:
            return HOST
        name = str(what.key)
        if what.surface == Surface.PORT and name in self._subjects.ports:
            return Happened(ports=(name,))
        return ANYTHING
