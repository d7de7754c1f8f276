"""Links as planned, and connections as these lead now."""

from typing import Protocol

from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.link.all_links import apply_links
from flatnet.apply.link.device_reads import Reads
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.changes import Changes, joined
from flatnet.state.plan import Plan


class Tools(Protocol):
    """What of a pass's tools is needed."""

    @property
    def session(self) -> Session: ...

    @property
    def known(self) -> WorkerCache: ...


def apply_ways(
    plan: Plan,
    devices: Reads,
    tools: Tools,
    steps: Changes,
    *,
    shut: frozenset[str],
    ports: frozenset[str] | None,
) -> Changes:
    """Make the links, then what hangs on whose gateway the host is.

    :param steps: what was done before
    :param shut, ports: as for `apply_bridges`
    """
    known = tools.known
    made = apply_links(plan, devices, known, shut=shut, ports=ports)
    done = joined(steps, made)
    return joined(made, known.gateway_roles.follow(plan, done, tools.session))
