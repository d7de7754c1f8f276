"""A whole pass by a worker that knows nothing of what is on the host.

So it is where the kernel lost events, where somebody killed the worker, or
where what it proved is believed no longer: all is read again, and compared.
"""

import os
import select
import signal
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from flatnet.lab.bench import borrowed, cpu, roles
from flatnet.lab.bench.figure import FLOOR, Figure, Goal, Measured
from flatnet.lab.bench.site import Site
from flatnet.lab.bench.whole_passes import reconcile
from flatnet.lab.namespaces import LabError
from flatnet.lab.node import Node

_SECONDS = 60.0
# Of the socket that workers are asked by, with the daemon's pid.
_ADDRESS = "flatnet-applier-{}"
# Links, addresses, rules, sets, and of nftables what the guard has tables of
# and iptables has not.  Microseconds, by the shell's own clock.
_DUMPS = """
begin=$EPOCHREALTIME
{
    ip -details link show
    ip address show
    iptables-save
    ip6tables-save
    ipset save
    for family in bridge inet arp; do nft list ruleset $family; done
} >/dev/null
end=$EPOCHREALTIME
echo $((${end/./} - ${begin/./}))
"""


def whole_pass(site: Site) -> Measured:
    """A call that waits for a pass of the whole host, with nothing to do.

    The worker that had all proofs has gone, and the pass is the first of
    another one.  The floor is what it takes to have the kernel say what there
    is, by the programs that are made for it.
    """
    times, spent = [], []
    for _ in range(site.effort.least):
        with site.spent() as used:
            times.append(_lost(site) * 1000)
        spent.append(used)
        # What the applier told of the worker's end is served by that.
        reconcile(site)
    dumps = [_dumps(site.node) for _ in times]
    return Measured(
        statistics.median(times), statistics.median(dumps), cpu.mean(spent)
    )


FIGURES = (
    Figure("whole pass, proofs lost", "ms", whole_pass, (Goal(1.5, FLOOR),)),
)


def _lost(site: Site) -> float:
    """Seconds of one such pass.

    The applier tells when a worker has gone, and that causes a pass by itself;
    it is stopped until ours has begun, else ours would be the one after.
    """
    node = site.node
    applier, worker = roles.applier(node), roles.worker(node)
    address = _ADDRESS.format(node.daemon_pid)
    os.kill(applier, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as beside:
        try:
            with borrowed.connection(worker, address) as asked:
                os.kill(worker, signal.SIGKILL)
                start = time.monotonic()
                answer = beside.submit(reconcile, site)
                if not select.select([asked], [], [], _SECONDS)[0]:
                    raise LabError(f"{node.name}: no pass begins")
        finally:
            os.kill(applier, signal.SIGCONT)
        answer.result()
    return time.monotonic() - start


def _dumps(node: Node) -> float:
    """Milliseconds of all dumps."""
    return int(node.run(["bash", "-ec", _DUMPS])) / 1000
