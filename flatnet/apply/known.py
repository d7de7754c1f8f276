"""What a worker remembers of the rules that it wrote, to write less."""

from dataclasses import dataclass, field

from flatnet.apply.filter.rendering import Rendering
from flatnet.apply.guard import Guarding
from flatnet.apply.proven import Proven
from flatnet.apply.sets import Sets


@dataclass(frozen=True)
class Known:
    """Of one process and one network namespace.

    `proven` are tables that nobody wrote since, `sets` the sets as we left
    them, `rendering` and `guarding` what was rendered last.
    """

    proven: Proven = field(default_factory=Proven)
    sets: Sets = field(default_factory=Sets)
    rendering: Rendering = field(default_factory=Rendering)
    guarding: Guarding = field(default_factory=Guarding)
