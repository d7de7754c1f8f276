"""What a worker remembers of what it did, to do less."""

from dataclasses import dataclass, field

from flatnet.apply.daemons import Running
from flatnet.apply.filter.rendering import Rendering
from flatnet.apply.grammar_instances import Passed
from flatnet.apply.guard import Guarding
from flatnet.apply.legacy import Legacy
from flatnet.apply.proven import Proven
from flatnet.apply.sets import Sets
from flatnet.apply.settled import Settled
from flatnet.apply.words import Words


@dataclass(frozen=True)
class Known:
    """Of one process and one network namespace.

    `proven` are tables that nobody wrote since, `settled` those of iptables
    that are as planned, `sets` the sets as we left
    them, `passed` parts that are of the grammar, `rendering` and `guarding`
    what was rendered last, `daemons` the DHCP servers that run.
    """

    proven: Proven = field(default_factory=Proven)
    settled: Settled = field(default_factory=Settled)
    sets: Sets = field(default_factory=Sets)
    passed: Passed = field(default_factory=Passed)
    legacy: Legacy = field(default_factory=Legacy)
    words: Words = field(default_factory=Words)
    rendering: Rendering = field(default_factory=Rendering)
    guarding: Guarding = field(default_factory=Guarding)
    daemons: Running = field(default_factory=Running)
