"""A host that lives, its rows, and who sees after each pass what it is."""

import time
from pathlib import Path

import cloud_rows
import meddling
import tampering
from cloud_rows import Cloud
from driven import SOON, Daemon, options
from host_state import differences, seen
from plugs import Made, Plugs
from steps import NAMES, WRITES
from witness import Witness

from flatnet.db import schema
from flatnet.db.engine import Database
from flatnet.state.scope import EVERYTHING, NOTHING, Scope, of_instance
from tests.db.conftest import a_daemon

# Seconds in which what others did is put right, on a machine that is busy.
PATIENCE = 30
MOST_PASSES = 12


class Living:
    """One host and its rows, which is this network namespace.

    `host` is what kind of host it is.
    """

    def __init__(self, directory, stack, host):
        self._flags = host.flags
        self._directory = Path(directory)
        files = shared(self._directory / "networks")
        path = f"{directory}/flatnet.sqlite"
        database = Database(f"sqlite:///{path}")
        stack.callback(database.close)
        schema.upgrade(database)
        a_daemon(database, "node1")
        self._cloud = Cloud(database, path)
        self._cloud.build()
        meddling.settle_in(files)
        if host.is_old:
            tampering.leave_unowned()
        plug = self._flags.get("vif_plug")
        self._plugs = Made(self._cloud) if plug == "external" else Plugs()
        stack.callback(self._plugs.close)
        self._witness = Witness(self._cloud, files, same=False)
        self._start(allow_same_net_traffic=False)
        stack.callback(lambda: self._daemon.stop())

    def _start(self, **flags):
        """Start a daemon with these options, and those of this host."""
        mine = options(self._witness.files, **flags, **self._flags)
        self._daemon = Daemon(self._cloud.database, mine)

    def _start_again(self):
        """Start one with the options that the last one had."""
        settings = self._daemon.settings
        self._daemon = Daemon(self._cloud.database, settings)

    def begin(self, name, chance):
        """Have some instances."""
        for write in (cloud_rows.come, cloud_rows.rule) * 5:
            write(self._cloud, chance)
        self._look()

    def _meddled(self, change, chance):
        """Have others do something, and see what they made of the host."""
        change(self._witness.files, chance)
        self._witness.note_others()

    def _written(self, name, chance):
        scope = WRITES[name](self._cloud, chance)
        self._witness.note_rows()
        return scope

    def _written_any(self, chance):
        return self._written(chance.choice(NAMES["write"]), chance)

    def _asked(self, scope, chance):
        """What is asked for where an ask should have this scope."""
        dice = chance.random()
        if dice < 0.4:
            return scope
        if dice < 0.6 and scope.instances:
            # Of two who changed one may be named alone.
            return of_instance(chance.choice(sorted(scope.instances)))
        if dice < 0.85:
            living = self._cloud.living()
            some = chance.sample(living, min(1, len(living)))
            return Scope(instances=frozenset(some))
        return EVERYTHING

    def _wait_for(self, wanted):
        """Serve what is asked for until the host is as it was."""
        end = time.monotonic() + PATIENCE
        while text := differences(wanted, seen(self._witness.files).ours):
            assert time.monotonic() < end, f"not put right by itself: {text}"
            self._daemon.hear(SOON)
            if self._daemon.is_asked:
                self._run_pass(NOTHING)

    def _look_until(self, wanted):
        """Have whole passes until the host is as it was."""
        end = time.monotonic() + PATIENCE
        while text := differences(wanted, seen(self._witness.files).ours):
            assert time.monotonic() < end, f"not put right by passes: {text}"
            self._pass_over(EVERYTHING)

    def _pass_over(self, scope):
        outcome, covered = self._daemon.run_pass(scope)
        self._witness.note_pass(outcome, covered)
        return outcome

    def _run_pass(self, scope):
        outcome = self._pass_over(scope)
        self._witness.check(outcome)
        return outcome

    def _look(self):
        """Look at all, and find that it is as it should be."""
        for _ in range(MOST_PASSES):
            self._daemon.hear()
            outcome = self._run_pass(EVERYTHING)
            if not (self._daemon.is_asked or outcome.is_incomplete):
                break
        outcome = self._pass_over(EVERYTHING)
        assert outcome.error is None, outcome.error
        assert not outcome.changes.failures, outcome.changes.failures
        assert not outcome.changes.made, outcome.changes.made
        self._witness.check_open()


def shared(directory):
    """A new directory that dnsmasq, which is nobody, can enter."""
    directory.mkdir()
    directory.chmod(0o755)
    return str(directory)
