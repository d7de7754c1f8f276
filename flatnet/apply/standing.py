"""What stands of the work of passes: parts, failures, and ports, by name.

A pass looks at what it is about, and at whoever suffers from what failed
before.  What was found of a port is true until something else was found.
"""

from flatnet.apply.channel import Work
from flatnet.state.changes import Changes, Failure, FoundPort
from flatnet.state.composed import composed
from flatnet.state.parts import HostPart, Parts, changed
from flatnet.state.plan import Plan, Port
from flatnet.state.sliced import SlicedMap
from flatnet.state.sources import Sources


class Standing:
    """What one worker has brought about so far."""

    def __init__(self) -> None:
        self._parts = Parts(HostPart(""))
        self._sources = Sources()
        # Of the parts, none where they did not all come into force.
        self._number: int | None = None
        self._failures: tuple[Failure, ...] = ()
        self.plugged: dict[str, bool] = {}
        # The ports of the plan before, and those that were to go.
        self._planned = SlicedMap[str, Port]()
        self._going: tuple[str, ...] = ()
        # By the last whole work that told of all ports, and its number.
        self._found: tuple[int | None, tuple[FoundPort, ...]] = None, ()

    def has(self, base: int | None) -> bool:
        """Whether work that is based on parts of this number can be done."""
        return base is None or base == self._number

    def begun(self, work: Work) -> tuple[Plan, frozenset[str] | None]:
        """Return the plan of some work, and the ports that it is about.

        Those of instances that suffer from what failed are among them.  None
        are all; until the work is `done` nothing can be based on it.
        """
        self._number = None
        before = Parts(work.delta.put.host)
        if work.base is not None:
            before = self._parts
        self._parts = changed(before, work.delta)
        plan = composed(self._parts, self._sources, work.renewed)
        if work.whole:
            return plan, None
        guests = self._parts.guests
        keys = {*work.looked_at, *work.delta.put.guests} & guests.keys()
        keys |= self._suffering()
        return plan, frozenset(guests[key].port.name for key in keys)

    def _suffering(self) -> frozenset[str]:
        """The keys of the guests that something failed for."""
        guests = self._parts.guests
        if any(each.is_of_host for each in self._failures):
            return frozenset(guests)
        named = {u for each in self._failures for u in each.instances}
        if not named:
            return frozenset()
        return frozenset(
            key
            for key, guest in guests.items()
            if guest.port.instance_uuid in named
        )

    def done(self, work: Work) -> None:
        """Note that all of the work was tried."""
        self._number = work.number

    def is_as_found(self, work: Work, ports: tuple[FoundPort, ...]) -> bool:
        """Whether whoever asked knows already what was found of all ports."""
        if not work.whole:
            return False
        if work.found is not None and (work.found, ports) == self._found:
            return True
        self._found = work.number, ports
        return False

    def note(
        self, plan: Plan, changes: Changes, ports: frozenset[str] | None
    ) -> None:
        """Note what a pass did that was about some ports, or about all."""
        self._failures = changes.failures
        _, left = plan.ports.differing(self._planned)
        others = {*left, *self._going} - plan.ports.keys()
        for name in (*self.plugged,) if ports is None else others | ports:
            self.plugged.pop(name, None)
        self.plugged.update(plugged(changes.ports))
        self._planned, self._going = plan.ports, plan.gone


def plugged(ports: tuple[FoundPort, ...]) -> dict[str, bool]:
    """Return the carriers of those that are on their bridge, by name.

    It is what events are about: if it is another, a pass is due.
    """
    return {
        each.name: each.carrier for each in ports if each.found != "missing"
    }
