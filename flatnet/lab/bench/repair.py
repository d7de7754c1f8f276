"""How long what others destroy on a host stays destroyed."""

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from functools import partial

from flatnet.lab.bench import complete, cpu, roles
from flatnet.lab.bench.acts import KINDS, Act
from flatnet.lab.bench.figure import Figure, Goal, Measured
from flatnet.lab.bench.load import load
from flatnet.lab.bench.site import Site
from flatnet.lab.bench.whole_passes import reconcile
from flatnet.lab.namespaces import LabError
from flatnet.lab.node import Node
from flatnet.lab.spec import BRIDGE

UNDER_LOAD = "all of these to repaired, under load"
_SECONDS = 120.0
_POLL_SECONDS = 0.01
_GOALS = (Goal(1000),)
Things = Mapping[str, str]


def repaired(site: Site, *, act: Act) -> Measured:
    """From the end of an act to the host being as before: the worst of a few.

    The looks themselves take some milliseconds, which count.
    """
    things = _things(site)
    _begin_anew(site)
    times, spent = [], []
    for _ in range(site.effort.repairs):
        with site.spent() as used:
            times.append(_repaired(site.node, act, things))
        spent.append(used)
        reconcile(site)
    return Measured(max(times), _event_delay(site), cpu.mean(spent))


def under_load(site: Site) -> Measured:
    """The worst of all acts, each once, while some callers allocate.

    In the end a guest is looked for in all places where it has to be.
    """
    things, times = _things(site), {}
    with contextlib.closing(site.new_callers("load.log")) as callers:
        for acts in KINDS:
            _begin_anew(site)
            with load(site, callers):
                for act in acts:
                    times[act.name] = _repaired(site.node, act, things)
            _check(site)
    return Measured(max(times.values()), _event_delay(site), parts=times)


FIGURES = (
    *(
        Figure(
            f"{act.name} to repaired", "ms", partial(repaired, act=act), _GOALS
        )
        for acts in KINDS
        for act in acts
    ),
    Figure(UNDER_LOAD, "ms", under_load, _GOALS),
)


def _repaired(node: Node, act: Act, things: Things) -> float:
    """Milliseconds from the end of an act to its repair.

    :raises LabError: it is not repaired in time
    """
    look = ["sh", "-c", f"exec 2>&1; {act.look.format_map(things)}; true"]
    before = node.run(look)
    node.run(["sh", "-ec", act.script.format_map(things)])
    start = time.monotonic()
    while node.run(look) != before:
        if time.monotonic() > start + _SECONDS:
            raise LabError(
                f"{act.name}: {node.name} is not repaired in {_SECONDS:.0f} s"
            )
        time.sleep(_POLL_SECONDS)
    return (time.monotonic() - start) * 1000


def _things(site: Site) -> Things:
    """What acts are done to, on a host with guests."""
    node, here = site.node, site.lab.spec.directory
    taps = sorted(site.ports(node))
    addresses = [
        line.rpartition(",")[2] for line in node.hosts_text().splitlines()
    ]
    for name, lines in (("taps", taps), ("addresses", addresses)):
        (here / name).write_text("".join(f"{line}\n" for line in lines))
    return {
        "tap": taps[0],
        "address": addresses[0],
        "set": max(
            name
            for name, members in complete.sets(node).items()
            if name.startswith(complete.PROFILE) and addresses[0] in members
        ),
        "taps": str(here / "taps"),
        "addresses": str(here / "addresses"),
        "stem": str(node.spec.networks_path / f"flatnet-{BRIDGE}"),
    }


def _begin_anew(site: Site) -> None:
    """Have a worker that has not seen anything undone yet.

    What is undone for the fifth time within a minute is a fight, in which
    repairs wait.
    """
    os.kill(roles.worker(site.node), signal.SIGKILL)
    reconcile(site)
    # What the applier told of the worker's end is served by that.
    reconcile(site)


def _check(site: Site) -> None:
    """Look whether a guest has all that it had when it came.

    :raises LabError: something is missing
    """
    guest = [site.first]
    site.check_complete(guest, site.allocate_at_once(guest))


def _event_delay(site: Site) -> float:
    """Milliseconds until the kernel has told of a change."""
    calls: list[dict[str, object]] = [{}] * site.effort.least
    delays = sorted(site.floor("event_delay", calls).answers)
    return float(delays[len(delays) // 2])
