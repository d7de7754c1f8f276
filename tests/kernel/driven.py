"""A daemon below its RPC, driven a pass at a time by who tests it.

Rows, planner, reconciler and applier are the real ones, and the applier is a
process of its own.
"""

import os
import select
import signal
from contextlib import suppress

from flatnet.apply.applier_client import Applier, start_applier
from flatnet.cmd.hostrows import DatabaseRows
from flatnet.cmd.planner import HostPlanner
from flatnet.config.settings import Settings
from flatnet.passes.reconciler import Reconciler
from flatnet.state.scope import EVERYTHING, NOTHING
from tests.db.conftest import HOLDER

HOST = "node1"
# Seconds that the timer waits: longer than any test.
NEVER = 10000
# Of an event that somebody caused.
SOON = 0.05


def options(directory, **flags):
    """The options of the daemon of node1."""
    return Settings(
        host=HOST,
        networks_path=str(directory),
        public_interface="out0",
        routing_source_ip="192.0.2.1",
        address_quarantine=0,
        **flags,
    )


def started(files):
    """An applier of this host, whose DHCP servers have their files there."""
    return start_applier(
        networks_path=files, dnsmasq_config_file="", top_regex=""
    )


class NotingRows(DatabaseRows):
    """Rows that note which scopes were read.

    `meanwhile` is done once, while all of them are read.
    """

    def __init__(self, database):
        super().__init__(database, HOST, holder=HOLDER)
        self.read_scope = NOTHING
        self.meanwhile = None

    def read(self, scope, before):
        self.read_scope |= scope
        found = super().read(scope, before)
        if scope.everything and self.meanwhile:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return found


class Daemon:
    """One run of a daemon on this host."""

    def __init__(self, database, settings):
        self.settings = settings
        self.rows = NotingRows(database)
        self._started = started(settings.networks_path)
        self.applier = Applier(self._started)
        self.reconciler = Reconciler(
            rows=self.rows,
            planner=HostPlanner(settings),
            applier=self.applier,
            interval=NEVER,
        )

    def stop(self):
        self.applier.close()

    def run_pass(self, scope):
        """Run one pass; return its outcome and what it read."""
        self.rows.read_scope = NOTHING
        outcome = self.reconciler.run_pass(scope)
        return outcome, self.rows.read_scope

    def hear(self, seconds=0.0):
        """Ask for what the applier's events ask for; wait so long for one."""
        events = self._started.events
        if not select.select([events], [], [], seconds)[0]:
            return
        happened = self.applier.wait_for_event()
        assert happened is not None, "the applier is gone"
        if happened.everything:
            self.reconciler.ask(EVERYTHING)
        else:
            self.reconciler.ask_about(happened.ports)

    @property
    def is_asked(self):
        """Whether somebody waits for a pass."""
        return self.reconciler._asks._asked > self.reconciler._asks._served

    def workers(self):
        """Who serves the daemon, by pid."""
        pid = self._started.process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as stream:
            return tuple(map(int, stream.read().split()))

    def kill_worker(self):
        """Kill who serves the daemon, whatever he is at."""
        for worker in self.workers():
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)

    def disconnect(self):
        """Lose the connection, so that another worker knows nothing."""
        self.applier._disconnect()
