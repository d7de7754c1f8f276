"""A lab to measure on: hosts with guests, callers, and the floor beside them.

The floor's server is on a node of its own, with the same way to the broker and
to the database as the daemons have, but with no daemon.
"""

import contextlib
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from flatnet.db import host_addresses, networks
from flatnet.db.engine import Database
from flatnet.lab import topology
from flatnet.lab.bench import (
    coming,
    complete,
    cpu,
    floor,
    floor_node,
    roles,
    rows,
)
from flatnet.lab.bench.callers import FLOOR, NETWORK
from flatnet.lab.bench.calling import Callers, Calls
from flatnet.lab.bench.complete import ServedGuest
from flatnet.lab.bench.effort import Effort
from flatnet.lab.bench.layout import CIDR, Layout
from flatnet.lab.bench.libraries_nodes import Libraries
from flatnet.lab.bench.rows import NewInstance
from flatnet.lab.lab import Lab
from flatnet.lab.namespaces import LabError
from flatnet.lab.node import Node
from flatnet.lab.spec import BRIDGE, MOST_NODES, LabSpec, NodeSpec

READY_SECONDS = 300.0
# A bridge of Linux takes 1023 ports, one of which is the uplink.
_MOST_GUESTS = 1022
_Coming = AbstractContextManager[list[NewInstance]]


class Site:
    """Use it as a context manager, from the main thread, as a lab."""

    def __init__(
        self,
        spec: LabSpec,
        *,
        layout: Layout,
        effort: Effort,
        say: Callable[[str], None],
    ) -> None:
        self.layout = layout
        self.effort = effort
        self.size = 0
        self.lab = Lab(spec, say=say)
        self.say = say
        self._running = contextlib.ExitStack()
        self._names, self._turns = coming.Names(), itertools.count()
        self._groups: list[int] = []
        self.instances: list[NewInstance] = []
        # No lab has so many.
        self._floor_spec = NodeSpec(lab=spec, number=MOST_NODES)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as running:
            running.enter_context(self.lab)
            self.database = Database(self.lab.database_url)
            running.callback(self.database.close)
            self.callers = self.new_callers("callers.log")
            running.callback(self.callers.close)
            command = [sys.executable, "-m", floor.__name__]
            running.callback(
                floor_node.started(
                    self._floor_spec, command, floor.SERVING
                ).kill
            )
            self.libraries = Libraries(
                self.lab.spec, self.callers, self.effort
            )
            running.callback(self.libraries.close)
            self._write_network()
            self._running = running.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.close()

    def renew(self, spec: LabSpec, layout: Layout) -> None:
        """Have other hosts, without a daemon; all else stays."""
        rows.empty(self.database)
        self.lab.renew(spec)
        self.layout = layout
        self.size = 0
        self.instances = []
        self._write_network()

    @property
    def node(self) -> Node:
        """The first host, or the only one."""
        return self.lab.node(1)

    @property
    def first(self) -> NewInstance:
        """An instance that runs on the first host."""
        return self.instances[0]

    @property
    def floor_namespace(self) -> str:
        """Where the floor's server is."""
        return self._floor_spec.namespace

    @property
    def group(self) -> int:
        """The group of that instance."""
        return self.first.groups[0]

    @property
    def room(self) -> int:
        """How many more find a place on the hosts."""
        return (_MOST_GUESTS - self.size) * len(self.lab.nodes)

    def grow(self, size: int) -> None:
        """Have so many instances running on each host.

        :raises LabError: a host has not all ports then
        """
        start = time.monotonic()
        new = [
            self._new_instance(node.name, self.layout.each)
            for node in self.lab.nodes
            for _ in range(size - self.size)
        ]
        with ThreadPoolExecutor() as threads:
            list(threads.map(Node.stop_daemon, self.lab.nodes))
        rows.add_running(self.database, new, plug=self.lab.spec.vif_plug)
        self.instances += new
        rows.renew_statistics(self.database)
        for node in self.lab.nodes:
            node.begin_daemon()
        for node in self.lab.nodes:
            node.await_daemon(seconds=READY_SECONDS)
            found = len(self.ports(node))
            if found != size:
                raise LabError(f"{node.name} has {found} ports, not {size}")
        self.size = size
        self.floor("hold", [{"count": size}])
        took = time.monotonic() - start
        self.say(f"{size} instances on each host: {took:.1f} s")

    def newcomers(self, count: int) -> _Coming:
        """Instances that wait for their ports, on each host in turn.

        Each is in the groups of one that stays there, or in one of its own if
        the layout is so.  What is allocated for them goes at the end.
        """
        hosts = coming.in_turn(self.lab.nodes, count)
        groups = coming.joined(hosts, self.instances)
        if self.layout.fresh:
            groups = [(g,) for g in rows.add_groups(self.database, count)]
        return self._coming(list(map(self._names.instance, hosts, groups)))

    def newcomers_in(self, groups: int, count: int) -> _Coming:
        """The same, each in so many groups, whoever is in them."""
        hosts = coming.in_turn(self.lab.nodes, count)
        return self._coming([self._new_instance(h, groups) for h in hosts])

    @contextlib.contextmanager
    def _coming(
        self, wanted: list[NewInstance]
    ) -> Iterator[list[NewInstance]]:
        rows.add_instances(self.database, wanted)
        try:
            yield wanted
        finally:
            self.deallocate_at_once(wanted)
            rows.remove_instances(
                self.database, [each.uuid for each in wanted]
            )

    def allocate_at_once(self, wanted: Sequence[NewInstance]) -> Calls:
        """Allocate for all of them at the same time."""
        calls = [each.arguments for each in wanted]
        return self.callers.at_once(
            NETWORK, "allocate_for_instance", calls, self.effort.burst
        )

    def deallocate_at_once(self, wanted: Sequence[NewInstance]) -> Calls:
        """Deallocate all of them at the same time."""
        calls = [each.arguments for each in wanted]
        return self.callers.at_once(
            NETWORK, "deallocate_for_instance", calls, self.effort.burst
        )

    def one_by_one(self, method: str, wanted: Sequence[NewInstance]) -> Calls:
        """Call the daemons for one instance after the other."""
        return self.callers.one_by_one(
            NETWORK,
            method,
            [each.arguments for each in wanted],
            seconds=self.effort.seconds,
            least=self.effort.least,
        )

    def new_callers(self, log: str) -> Callers:
        """Callers beside those that there are; `log` is a file's name."""
        return Callers(
            namespace=self.lab.spec.namespace(topology.CONTROL),
            conf=self.lab.spec.control_conf,
            log=self.lab.spec.directory / log,
        )

    def ask(self, method: str, call: dict[str, Any]) -> None:
        """Make one call to the daemons."""
        self.callers.one_by_one(NETWORK, method, [call], seconds=0, least=1)

    def floor(self, method: str, calls: Sequence[dict[str, Any]]) -> Calls:
        """Call the floor's server, one call after the other."""
        return self.callers.one_by_one(
            FLOOR, method, calls, seconds=self.effort.seconds, least=1
        )

    def floor_at_once(self, method: str, count: int, width: int) -> Calls:
        """Call the floor's server so often, with so many callers at once."""
        calls = [{"name": rows.new_uuid()} for _ in range(count)]
        return self.callers.at_once(FLOOR, method, calls, width)

    @contextlib.contextmanager
    def spent(self) -> Iterator[cpu.Spent]:
        """What the processes use up until the block ends."""
        spent = cpu.Spent()
        before = cpu.used_ms(self.processes())
        yield spent
        after = cpu.used_ms(self.processes())
        spent.total = cpu.spent_ms(before, after)

    def processes(self) -> dict[str, list[int]]:
        """The pids of all that takes part, by role."""
        return {"callers": [self.callers.pid], **roles.pids(self.lab)}

    def daemon_pids(self) -> list[int]:
        """The daemon's processes, and the commands that they run just now."""
        found = self.processes()
        return [pid for role in roles.OURS for pid in found.get(role, ())]

    def ports(self, node: Node) -> frozenset[str]:
        """The taps that are on the bridge of a host."""
        return complete.ports(node)

    def check_complete(
        self, wanted: Sequence[NewInstance], calls: Calls
    ) -> list[ServedGuest]:
        """Look whether what was answered is so, on each host.

        :raises LabError: something is missing
        """
        guests = complete.guests(
            wanted, calls.answers, same_net=self.layout.same_net
        )
        complete.check_there(self.lab.nodes, guests)
        return guests

    def check_gone(self, guests: Sequence[ServedGuest]) -> None:
        """Look whether nothing of guests is left.

        :raises LabError: something is
        """
        complete.check_gone(self.lab.nodes, guests)

    def _new_instance(self, host: str, groups: int) -> NewInstance:
        wanted = self.layout.groups_of(next(self._turns), groups)
        ids = tuple(self._groups[each] for each in wanted)
        return self._names.instance(host, ids)

    def _write_network(self) -> None:
        network = networks.create(
            self.database, label="bench", cidr=CIDR, bridge=BRIDGE
        )
        for node in self.lab.nodes:
            host_addresses.ensure(
                self.database,
                network_uuid=network.uuid,
                host=node.name,
                quarantine=0,
                in_use=(),
            )
        self._groups = []
        if self.layout.groups:
            self._groups = rows.add_groups(self.database, self.layout.groups)
