"""What became of a pass: for who waits for it, for people, for the next."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from flatnet.exceptions import FlatnetError, HostSetupError
from flatnet.plan.planned import Planned
from flatnet.state.changes import Changes, FoundPort
from flatnet.state.plan import Bridge
from flatnet.state.scope import Scope


@dataclass(frozen=True)
class Pass:
    """The outcome of one pass; `error` is set if it failed as a whole.

    `changes` has the failures of the whole host, and what this pass did;
    `ports` are all of the host by name, as they were found last,
    `bridges` those of the plan; `warnings` what was met in rows and on it,
    as lines.  `planned` is kept of the last pass alone.  `is_whole` says that
    all of the host was looked at.
    """

    planned: Planned | None = None
    changes: Changes = field(default_factory=Changes)
    error: FlatnetError | None = None
    warnings: tuple[str, ...] = ()
    ports: Mapping[str, FoundPort] = field(default_factory=dict)
    bridges: tuple[Bridge, ...] = ()
    is_whole: bool = False

    def check(self, instance_uuid: str) -> None:
        """Raise if this host is not as it should be for an instance.

        :raises FlatnetError: the error of the pass as a whole
        :raises HostSetupError: a part failed that the instance needs
        """
        if self.error is not None:
            raise self.error
        for failure in self.changes.failures:
            if failure.concerns(instance_uuid):
                raise HostSetupError(str(failure))

    def check_gone(self, instance_uuid: str) -> None:
        """Raise if something is left of an instance that was to go.

        :raises FlatnetError: the error of the pass as a whole
        :raises HostSetupError: what failed names the instance
        """
        if reason := self.left_of([instance_uuid]).get(instance_uuid):
            raise HostSetupError(reason)

    def left_of(self, instances: Collection[str]) -> dict[str, str]:
        """Return of whom that was to go something is left, and why.

        What the host lacks as a whole is no affair of who is not here.

        :raises FlatnetError: the error of the pass as a whole
        """
        if self.error is not None:
            raise self.error
        return {
            uuid: str(failure)
            for failure in reversed(self.changes.failures)
            for uuid in failure.instances
            if uuid in instances
        }

    def lacking(self, instances: Collection[str]) -> dict[str, str]:
        """Return who of instances anywhere lacks what failed here, and what.

        :raises FlatnetError: the error of the pass as a whole
        """
        if self.error is not None:
            raise self.error
        return {
            uuid: str(failure)
            for failure in reversed(self.changes.failures)
            for uuid in instances
            if failure.concerns(uuid)
        }

    def logged(self) -> "Pass":
        """The same without what was done, which the log has by now.

        At the start that is several things for each instance.  What was found
        of ports is in `ports`.
        """
        return replace(self, changes=replace(self.changes, made=(), ports=()))

    def ports_after(
        self, planned: Planned, scope: Scope, changes: Changes
    ) -> Mapping[str, FoundPort]:
        """What is known of all ports, by name, after one more pass.

        What is as it was is the same object, all of it where nothing is
        another: outcomes are kept of many passes.
        """
        found: dict[str, FoundPort] = {}
        if not scope.whole_host and self.planned is not None:
            found.update(self.ports)
            for name in self.planned.ports_left(planned):
                found.pop(name, None)
        for each in changes.ports:
            known = self.ports.get(each.name)
            found[each.name] = known if known == each else each
        return self.ports if found == self.ports else found

    @property
    def is_final(self) -> bool:
        """Whether nothing of it is left to another pass that follows."""
        return self.is_whole or self.error is not None

    @property
    def is_incomplete(self) -> bool:
        """Whether something is to be tried again soon."""
        return self.error is not None or bool(self.changes.failures)

    def has_news(self, before: "Pass") -> bool:
        """Whether something failed that had not in the pass before."""
        if self.error is not None:
            return before.error is None
        known = {failure.about for failure in before.changes.failures}
        return any(
            failure.about not in known for failure in self.changes.failures
        )

    @property
    def state(self) -> str:
        """Ready, degraded (somebody suffers) or failed."""
        if self.error is not None:
            return "failed"
        return "degraded" if self.changes.failures else "ready"

    @property
    def reason(self) -> str | None:
        """Why it is not ready, in one line."""
        if self.error is not None:
            return str(self.error)
        lines = [str(failure) for failure in self.changes.failures]
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        return lines[0] + more if lines else None

    @cached_property
    def groups(self) -> frozenset[int]:
        """The ids of the security groups that mattered to it."""
        if self.planned is None:
            return frozenset()
        return self.planned.rows.group_ids

    def knows(self, groups: Iterable[int], instances: Iterable[str]) -> bool:
        """Whether one of these groups or instances mattered to it."""
        if not self.groups.isdisjoint(groups):
            return True
        owned = self.planned.rows.owned if self.planned else {}
        return any(each in owned for each in instances)

    def has_network(self, uuid: str) -> bool:
        """Whether a network is in the plan."""
        return any(each.network_uuid == uuid for each in self.bridges)

    @property
    def bridge_addresses(self) -> dict[str, str]:
        """The address of each bridge of the plan, by its network's uuid."""
        return {
            bridge.network_uuid: bridge.address.partition("/")[0]
            for bridge in self.bridges
            if bridge.address
        }

    def is_up(self, name: str) -> bool:
        """Whether a device is on its bridge."""
        return name in self.ports and self.ports[name].found == "up"

    @property
    def mtus(self) -> dict[str, int]:
        """The mtu of each bridge, by name."""
        return {bridge.name: bridge.mtu for bridge in self.bridges}

    @property
    def guests(self) -> Counter[str]:
        """How many guests the plan has in each network, by its uuid."""
        if self.planned is None:
            return Counter()
        parts = self.planned.parts
        return Counter(
            parts.networks[each.network].bridge.network_uuid
            for each in parts.guests.values()
        )


def looked_at(planned: Planned, scope: Scope) -> tuple[str, ...] | None:
    """The guests that a scope is about, or none for all that there is."""
    if scope.whole_host:
        return None
    found = planned.rows.interfaces_of(scope.instances)
    return tuple(each.uuid for each in found)
