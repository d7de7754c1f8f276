"""The daemon put together: everything is built here and passed in.

Imported after the executor has been chosen, see `flatnet.cmd.manager`.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable

import oslo_messaging as messaging
from oslo_config import cfg

from flatnet import deadline, heap, hints, rpc
from flatnet.apply.applier_client import Applier, ApplierProcess
from flatnet.cmd import device_options, hostname, needs, serving
from flatnet.cmd.dual_stack_rows import DualStackRows
from flatnet.cmd.heartbeat import Heartbeat
from flatnet.cmd.hostrows import DatabaseRows
from flatnet.cmd.notify import notify
from flatnet.cmd.planner import HostPlanner
from flatnet.cmd.serverroles import ServerRoles
from flatnet.cmd.waiting import await_database
from flatnet.config.settings import Settings
from flatnet.db.engine import Database
from flatnet.endpoints import backlog, methods
from flatnet.exceptions import FlatnetError
from flatnet.manager import FlatDHCPManager, FlatManager
from flatnet.passes.reconciler import PATIENCE, Reconciler
from flatnet.state.scope import EVERYTHING

LOG = logging.getLogger("flatnet")
# Seconds that a daemon tries to say that it stops.
LAST_WORD = 5.0
_ENDING = (signal.SIGTERM, signal.SIGINT)


class Daemon:
    """One run of flatnet-manager, from the first pass to the last."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        settings: Settings,
        started: ApplierProcess,
    ) -> None:
        self._conf = conf
        self._settings = settings
        self._applier = Applier(started)
        self._broker = serving.transport(conf)
        self._database = Database(settings.connection)
        self._heartbeat = Heartbeat(settings)
        self._needs = needs.needs(conf, settings, self._database.servers)
        roles = ServerRoles(
            self._database,
            settings.host,
            quarantine=settings.address_quarantine,
            in_use=lambda: self._needs.now,
            tell=self._tell_of_role,
        )
        rows = DualStackRows if settings.use_ipv6 else DatabaseRows
        self._rows = rows(
            self._database,
            settings.host,
            holder=hostname.holder(),
            quarantine=settings.address_quarantine,
            roles=roles if settings.dhcp else None,
        )
        self._reconciler = Reconciler(
            rows=self._rows,
            planner=HostPlanner(settings, lambda: self._needs.now),
            applier=self._applier,
            interval=settings.reconcile_interval,
        )
        self._stop_reading, self._stop_writing = os.pipe()
        self._stopping = threading.Event()
        self._status = 0
        self._server: messaging.MessageHandlingServer | None = None

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; return the exit status."""
        try:
            self._first_pass()
            self._catch_signals()
            notify("READY=1")
            heap.settle()
            reconciling = _thread(self._reconciler.run)
            reporting = _thread(self._report)
            _thread(self._listen)
            _thread(self._serve)
            self._wait_for_signal()
            LOG.info("stopping; guests keep their network")
            self._stopping.set()
            self._stop_serving()
            self._reconciler.stop()
            for thread in (reconciling, reporting):
                thread.join(timeout=30)
            self._say_stopped()
        finally:
            self._applier.close()
            self._heartbeat.close()
            self._database.close()
        return self._status

    def _first_pass(self) -> None:
        """Bring the host to its rows before anybody is answered.

        :raises FlatnetError: what makes it senseless to go on
        """
        self._withdraw()
        await_database(self._database)
        if self._needs.look():
            self._withdraw()
        notify("STATUS=waiting for the applier")
        # Where another daemon's works here, nothing is said in its name.
        self._applier.uplinks(())
        notify(f"STATUS=waiting for the name {self._settings.host}")
        hostname.claim(self._database, self._settings)
        notify("STATUS=bringing the host to its rows")
        outcome = self._reconciler.run_pass()
        if outcome.error is not None:
            raise outcome.error
        for line in (
            *device_options.missing(self._settings),
            self._idle_uplink(),
        ):
            if line:
                LOG.warning("%s", line)

    def _withdraw(self) -> None:
        """Take back what an earlier version took of what we need."""
        changes = self._applier.withdraw(self._needs.now)
        for effect in changes.made:
            LOG.warning("%s: this host needs it, or is cut off by it", effect)
        for failure in changes.failures:
            LOG.error("%s", failure)

    def _idle_uplink(self) -> str:
        """What is wrong with an uplink that no network has shown yet."""
        uplink = self._settings.flat_interface
        used = {each.uplink for each in self._reconciler.last.bridges}
        if not uplink or uplink in used:
            return ""
        bridge = self._settings.flat_network_bridge
        return self._applier.trouble(uplink=uplink, bridge=bridge)

    def _catch_signals(self) -> None:
        # By the interpreter itself: a handler in Python may run inside
        # eventlet's hub, where nothing may block.
        os.set_blocking(self._stop_writing, False)
        signal.set_wakeup_fd(self._stop_writing)
        for number in _ENDING:
            signal.signal(number, lambda _number, _frame: None)

    def _wait_for_signal(self) -> None:
        while os.read(self._stop_reading, 1)[0] not in _ENDING:
            pass

    def _serve(self) -> None:
        """Serve, or end the daemon with the reason in its log."""
        try:
            self._start_serving()
        except Exception:
            LOG.exception("cannot serve RPC")
            self._end(status=1)

    def _start_serving(self) -> None:
        """Listen as soon as there is a broker; the host stands by now."""
        turns = backlog.Turns()
        peers = rpc.NetworkAPI(self._broker, waiting=turns.away)
        kind = FlatDHCPManager if self._settings.dhcp else FlatManager
        manager = kind(
            settings=self._settings,
            database=self._database,
            reconciler=self._reconciler,
            peers=peers,
            in_use=lambda: self._needs.now,
            timeout=self._conf.rpc_response_timeout * PATIENCE,
        )
        dispatcher = backlog.Dispatcher(
            methods.all_of(manager, turns),
            turns=turns,
            patience=self._conf.rpc_response_timeout,
            error_module=self._settings.rpc_error_module,
        )
        self._server = serving.started(
            lambda: rpc.server(
                self._broker,
                host=self._settings.host,
                dispatcher=dispatcher,
                executor=self._settings.executor,
            ),
            broker=rpc.broker_name(self._conf),
            stopping=self._stopping,
        )
        # Of several brokers all were perhaps not known before.
        self._needs.look()
        if self._server is not None:
            LOG.info("host %s is ready", self._settings.host)
            notify(f"STATUS=serving host {self._settings.host}")

    def _tell_of_role(self, network_uuid: str) -> None:
        """Let other hosts believe this one, though the broker be away."""
        peers = rpc.NetworkAPI(self._broker)
        host = self._settings.host
        _thread(lambda: hints.tell_of_network(peers, network_uuid, host=host))

    def _say_stopped(self) -> None:
        """Tell the cluster, which would else wait for our reports."""
        failure = None
        try:
            with deadline.within(LAST_WORD):
                self._rows.tell("stopped", None)
        except FlatnetError as error:
            failure = error
        if failure is not None:
            LOG.warning("not told that this host has stopped: %s", failure)

    def _stop_serving(self) -> None:
        notify("STOPPING=1", "STATUS=stopping; guests keep their network")
        if self._server is not None:
            self._server.stop()
            self._server.wait()

    def _listen(self) -> None:
        """Ask for a pass whenever the host changed under us."""
        while (happened := self._applier.wait_for_event()) is not None:
            if happened.everything:
                self._reconciler.ask(EVERYTHING)
            else:
                self._reconciler.ask_about(happened.ports)

    def _end(self, *, status: int) -> None:
        self._status = status
        os.write(self._stop_writing, bytes([signal.SIGTERM]))

    def _report(self) -> None:
        """Tell the cluster that we live, and end if we cannot work."""
        while not self._stopping.wait(self._heartbeat.pause):
            if not self._heartbeat.beat():
                LOG.error(
                    "another daemon serves as host %s by now; ending",
                    self._settings.host,
                )
                self._end(status=1)
            if self._applier.is_gone:
                LOG.error("the applier process is gone; ending to be started")
                self._end(status=1)


def _thread(target: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread
