"""What a start writes to the kernel of a host that is as its rows say."""

import contextlib

from flatnet.lab.bench import kernel_writes
from flatnet.lab.bench.figure import Figure, Goal, Measured
from flatnet.lab.bench.site import READY_SECONDS, Site
from flatnet.lab.conversation import Conversation

UNIT = "writes"


def at_start(site: Site) -> Measured:
    """Writes from before the end of a daemon until the next one serves."""
    kernel = Conversation(
        kernel_writes.__name__,
        namespace=site.node.namespace,
        log=site.lab.spec.directory / "changes.log",
    )
    with contextlib.closing(kernel):
        kernel.ask({})
        site.node.stop_daemon()
        site.node.begin_daemon()
        site.node.await_daemon(seconds=READY_SECONDS)
        found = kernel.ask({})
    if any(found.values()):
        site.say(f"written at a start: {found}")
    return Measured(sum(found.values()))


FIGURES = (Figure("writes of a start", UNIT, at_start, (Goal(0),)),)
