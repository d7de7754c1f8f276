"""Daemons without their kernel: real rows and broker, an applier of ours."""

import threading

from flatnet import rpc
from flatnet.cmd.hostrows import DatabaseRows
from flatnet.cmd.planner import HostPlanner
from flatnet.cmd.serverroles import ServerRoles
from flatnet.config.settings import Settings
from flatnet.endpoints import backlog, methods
from flatnet.manager import FlatDHCPManager
from flatnet.passes.reconciler import Reconciler
from flatnet.state.changes import Changes, Failure, FoundPort
from flatnet.state.composed import composed
from flatnet.state.sources import Sources
from tests.db.conftest import HOLDER, a_daemon
from tests.effects import port


class Yes:
    """An applier that reaches every plan, but for `refused` instances."""

    def __init__(self):
        self.refused = ()
        self.parts = None

    @property
    def plan(self):
        """What was asked for last."""
        return composed(self.parts, Sources())

    def uplinks(self, names):
        return ()

    def apply(self, parts, *, renewed, looked_at):
        self.parts, plan = parts, composed(parts, Sources())
        planned = [port for each in plan.bridges for port in each.ports]
        found = [
            FoundPort(port.name, "missing", reason="no room")
            if port.instance_uuid in self.refused
            else FoundPort(port.name, "up", kind=port.kind)
            if port.stays == "always"
            else FoundPort(port.name, "shut", reason=port.stays)
            for port in planned
        ]
        found += [FoundPort(name, "missing") for name in plan.gone]
        failure = Failure(port("tap1"), "no room", tuple(self.refused))
        return Changes(
            failures=(failure,) if self.refused else (), ports=tuple(found)
        )


class Node:
    """One daemon without its kernel: manager, reconciler, RPC server."""

    def __init__(self, host, database, broker, turns=None, **options):
        self.applier = Yes()
        self.turns = turns or backlog.Turns()
        settings = Settings(host=host)
        self.reconciler = Reconciler(
            rows=DatabaseRows(
                database,
                host,
                holder=HOLDER,
                roles=ServerRoles(
                    database, host, quarantine=600, hardware=lambda _: None
                ),
            ),
            planner=HostPlanner(settings),
            applier=self.applier,
            interval=1000,
        )
        self.manager = manager = FlatDHCPManager(
            settings=settings,
            database=database,
            reconciler=self.reconciler,
            peers=rpc.NetworkAPI(broker, 20, self.turns.away),
            timeout=20,
        )
        a_daemon(database, host)
        self.thread = threading.Thread(target=self.reconciler.run)
        self.thread.start()
        self.dispatcher = backlog.Dispatcher(
            methods.all_of(manager, self.turns),
            turns=self.turns,
            patience=20,
            **options,
        )
        self.server = rpc.server(
            broker,
            host=host,
            dispatcher=self.dispatcher,
            executor="threading",
        )
        self.server.start(override_pool_size=backlog.THREADS)

    def stop(self):
        self.server.stop()
        self.server.wait()
        self.reconciler.stop()
        self.thread.join(timeout=20)
