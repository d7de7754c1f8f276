"""A daemon below its RPC and its applier's worker, in one process.

What a test has patched before holds for the worker too, which else is a
process of its own.
"""

import contextlib
import os
import socket

from flatnet.apply.applier_client import Applier, ApplierProcess
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.host import HostPaths
from flatnet.apply.worker import Worker
from flatnet.cmd.planner import HostPlanner
from flatnet.exceptions import ApplierUnavailable, HostSetupError
from flatnet.passes.reconciler import Reconciler
from flatnet.state.scope import EVERYTHING, of_instance
from tests.builders import NoRows
from tests.planned import kept_rows

# Seconds that the timer waits: longer than any test.
NEVER = 10000


class GivenRows(NoRows):
    """Rows that a test writes, each read as a whole."""

    def __init__(self, snapshot):
        self.snapshot = snapshot

    def read(self, scope, before):
        return kept_rows(self.snapshot)


class NearApplier(Applier):
    """The client of an applier whose worker is an object.

    `made` is what it did last, `told` are the names of the ports that it told
    of then.
    """

    def __init__(self, stack, directory):
        reading, self._events = os.pipe()
        super().__init__(ApplierProcess(None, "", -1, reading))
        self._sessions = stack.enter_context(contextlib.ExitStack())
        self._paths = HostPaths(str(directory))
        self._worker = None
        self.made = ()
        self.told = []

    def die(self):
        """Have another worker serve from now on, who knows nothing."""
        self._worker = None
        self._sessions.close()

    def look(self):
        """Have the worker see to what others did."""
        self._worker._look()

    def _ask(self, request):
        if self._worker is None:
            self._worker = self._begun()
        reply = self._worker._reply(request)
        if reply.changes is not None:
            self.made = reply.changes.made
            self.told = [each.name for each in reply.changes.ports]
        if reply.error is not None:
            raise HostSetupError(reply.error)
        return reply

    def _begun(self):
        session = self._sessions.enter_context(Session())
        connection, _ = socket.socketpair()
        return Worker(connection, self._paths, session, self._events)


class Host:
    """One host; `rows` are what the database says of it."""

    def __init__(self, stack, directory, snapshot, settings):
        self.rows = GivenRows(snapshot)
        self.applier = NearApplier(stack, directory)
        self.reconciler = Reconciler(
            rows=self.rows,
            planner=HostPlanner(settings),
            applier=self.applier,
            interval=NEVER,
        )

    def passes(self, snapshot, interface=None):
        """Run a pass about one instance, or about all; return its outcome."""
        self.rows.snapshot = snapshot
        scope = EVERYTHING
        if interface is not None:
            scope = of_instance(interface.instance_uuid)
        return self.reconciler.run_pass(scope)


@contextlib.contextmanager
def host(directory, snapshot, settings):
    """A host as its daemon has started, after a first pass."""
    with contextlib.ExitStack() as stack:
        started = Host(stack, directory, snapshot, settings)
        outcome = started.passes(snapshot)
        assert outcome.error is None, outcome.error
        yield started


def suffers(outcome, interface):
    """Why who asked for this instance is told an error, or nothing."""
    try:
        outcome.check(interface.instance_uuid)
    except (HostSetupError, ApplierUnavailable) as error:
        return str(error)
    return ""
