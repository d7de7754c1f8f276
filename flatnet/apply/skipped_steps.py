"""Steps of a pass that would find what they found, and are not taken.

A pass that is about no port of this host, as one for a member that is
elsewhere, has mostly nothing to do for most surfaces.  What a step finds
follows from its part of the plan and from what is on the host; of the latter
events, counts and stamps tell whether it is another (`step_inputs`).  As long
as these are the same, a step that had nothing to do has nothing to do.

What failed, or had anything to do, is looked at by the next pass again; and
all of it by one that is whole, or about ports.
"""

from collections.abc import Callable, Mapping

from flatnet.apply.affected_instances import guarded
from flatnet.state.changes import Changes
from flatnet.state.effects import Surface

# What steps follow from, by surface; of some nobody knows it.
StepInputs = Mapping[Surface, object]


class SkippedSteps:
    """What one process found nothing to do for, and what that rests on."""

    def __init__(self) -> None:
        self._left: dict[Surface, tuple[object, Changes]] = {}

    def step(
        self, surface: Surface, on: StepInputs, apply: Callable[[], Changes]
    ) -> Changes:
        """Return what `apply` does, or would tell once more.

        :param on: what that rests on, read before
        """
        basis = on.get(surface)
        before, told = self._left.pop(surface, (None, Changes()))
        if basis is None or before != basis:
            told = guarded(surface, apply)
        if basis is not None and told == Changes(warnings=told.warnings):
            self._left[surface] = basis, told
        return told

    def forget(self) -> None:
        """Have each step taken the next time."""
        self._left.clear()
