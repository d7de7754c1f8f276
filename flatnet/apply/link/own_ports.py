"""Ports of ours that somebody took the mark from get it back.

What is ours is known by its alias.  Who writes another into it makes of a
guest's port somebody else's device, which the plan may neither use nor
replace, and the guest has no network from the next change on.  Which device a
port was is known for as long as the process lives: by its index, whatever it
is called by now.  One that was made anew under the name has another, and stays
its maker's.

Given up: what was written before a worker began, for it has seen nothing.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from flatnet.apply.link.device_reads import Reads
from flatnet.apply.link.link import MARK, Link
from flatnet.apply.link.links import ERRORS, link_pass
from flatnet.state.changes import Changes
from flatnet.state.effects import Effect, Subject, Surface, Verb
from flatnet.state.plan import Plan, Port
from flatnet.state.sliced_collections import SlicedMap

# The names of the ports that a pass is about, none for all.
Names = frozenset[str] | None


class OwnPorts:
    """The ports that bore our mark, as passes left them; one process's."""

    def __init__(self) -> None:
        # As they were then, by the names of their plan.
        self._seen: dict[str, Link] = {}
        self._planned = SlicedMap[str, Port]()

    def note(self, plan: Plan, devices: Reads, names: Names) -> None:
        """Note which ports are ours, of those that a pass was about."""
        there, planned = devices.named(), plan.ports
        for name in self._gone(plan):
            self._seen.pop(name, None)
        self._planned = planned
        for name in planned if names is None else names & planned.keys():
            link = there.get(name)
            if link is None:
                self._seen.pop(name, None)
            elif link.ours:
                self._seen[name] = link

    def restore(self, plan: Plan, devices: Reads, names: Names) -> Changes:
        """Mark those again that a pass is about, or that are to go."""
        robbed = self._robbed(self._about(plan, names), devices.named())
        if not robbed:
            return Changes()
        with link_pass(devices) as found:
            for name, link in robbed.items():
                alias = self._seen[name].alias
                try:
                    found.write(link, ifalias=alias)
                except ERRORS as error:
                    uuid = alias.removeprefix(MARK)
                    found.fail(Subject(Surface.PORT, name), error, (uuid,))
                    continue
                was = f"its alias, which was {link.alias or 'empty'}"
                found.made.append(Effect(Surface.PORT, Verb.SET, name, was))
            return Changes(tuple(found.made), tuple(found.failures))

    def _about(self, plan: Plan, names: Names) -> AbstractSet[str]:
        """Those of the ports that were seen whose turn it is."""
        if names is None:
            return self._seen.keys()
        return self._seen.keys() & names.union(self._gone(plan))

    def _gone(self, plan: Plan) -> tuple[str, ...]:
        """The ports of the plan before that are of this one no more."""
        _, gone = plan.ports.differing(self._planned)
        return gone

    def _robbed(
        self, names: AbstractSet[str], there: Mapping[str, Link]
    ) -> dict[str, Link]:
        """The devices of some ports that are not marked any more, by port."""
        found, others = {}, {}
        if not names <= there.keys():
            others = {each.index: each for each in there.values()}
        for name in names:
            seen = self._seen[name]
            # Under another name it gets its own back once it is marked.
            link = there.get(name) or others.get(seen.index)
            if link is None or link is seen or link.ours:
                continue
            if (link.index, link.kind) == (seen.index, seen.kind):
                found[name] = link
        return dict(sorted(found.items()))
