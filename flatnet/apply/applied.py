"""What stands of the work of passes: parts, failures, and ports, by name.

A pass looks at the ports that it is about, and while something fails at those
that it may have left undone: whose devices or bridges failed, and that are not
up, for whatever reason.  Who lacks something else, such as a DHCP server, has
a port that needs nothing.  What was found of a port is true until something
else was found.
"""

from flatnet.apply.channel import Work
from flatnet.state.changes import Changes, Failure, FoundPort
from flatnet.state.composed import composed
from flatnet.state.effects import Surface
from flatnet.state.parts import HostPart, Parts, changed
from flatnet.state.plan import Plan, Port
from flatnet.state.sliced_collections import SlicedMap
from flatnet.state.sources import Sources

# Of what fails of these it is ports that were not seen to.
_OF_PORTS = (Surface.BRIDGE, Surface.PORT)


class Applied:
    """What one worker has brought about so far."""

    def __init__(self) -> None:
        self._parts = Parts(HostPart(""))
        self._sources = Sources()
        # What was composed of these, with nobody who begins anew.
        self._plan: Plan | None = None
        # Of the parts, none where they did not all come into force.
        self._number: int | None = None
        self._failures: tuple[Failure, ...] = ()
        self.plugged: dict[str, bool] = {}
        # The ports of the plan before, and those that were to go.
        self._planned = SlicedMap[str, Port]()
        self._going: tuple[str, ...] = ()
        # The names of ports that were found not to be up.
        self._down: set[str] = set()
        # By the last whole work that told of all ports, and its number.
        self._found: tuple[int | None, tuple[FoundPort, ...]] = None, ()

    def has(self, base: int | None) -> bool:
        """Whether work that is based on parts of this number can be done."""
        return base is None or base == self._number

    def begun(self, work: Work) -> tuple[Plan, frozenset[str] | None]:
        """Return the plan of some work, and the ports that it is about.

        Those that what failed has left undone are among them.  None are all;
        until the work is `done` nothing can be based on it.
        """
        self._number = None
        before = Parts(work.delta.put.host)
        if work.base is not None:
            before = self._parts
        plan = self._composed(before, work)
        if work.whole:
            return plan, None
        guests = self._parts.guests
        keys = {*work.looked_at, *work.delta.put.guests} & guests.keys()
        names = frozenset(guests[key].port.name for key in keys)
        return plan, names | self._undone(plan)

    def _composed(self, before: Parts, work: Work) -> Plan:
        """The plan of some work; the one before where nothing is another."""
        if before is not self._parts or not work.delta.leaves(before):
            self._parts, self._plan = changed(before, work.delta), None
        if work.renewed:
            return composed(self._parts, self._sources, work.renewed)
        if self._plan is None:
            self._plan = composed(self._parts, self._sources)
        return self._plan

    def _undone(self, plan: Plan) -> frozenset[str]:
        """The names of the ports that what failed has left undone."""
        if not self._failures:
            return frozenset()
        ports = plan.ports
        of_ports = [
            each
            for each in self._failures
            if each.subject.surface in _OF_PORTS
        ]
        if any(each.is_of_host for each in of_ports):
            return frozenset(ports)
        undone = self._down & ports.keys()
        if named := {u for each in of_ports for u in each.instances}:
            undone |= {
                name
                for name, port in ports.items()
                if port.instance_uuid in named
            }
        return frozenset(undone)

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
        told = {each.name: each.found for each in changes.ports}
        self._down = self._down - told.keys() if ports is not None else set()
        self._down |= {name for name, found in told.items() if found != "up"}


def plugged(ports: tuple[FoundPort, ...]) -> dict[str, bool]:
    """Return the carriers of those that are on their bridge, by name.

    It is what events are about: if it is another, a pass is due.
    """
    return {
        each.name: each.carrier for each in ports if each.found != "missing"
    }
