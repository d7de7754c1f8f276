"""A host that lives through steps, and is held against its laws after each."""

import random
import re
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import cloud_rows
import meddling
from cloud_rows import Cloud
from driven import SOON, Daemon, options, started
from flows import can_connect, connect
from host_state import differences, seen
from namespaces import fresh_namespace
from plugs import Made, Plugs
from steps import MEDDLING, NAMES, WRITES
from witness import Witness

from flatnet.apply.applier_client import Applier
from flatnet.db import schema
from flatnet.db.engine import Database
from flatnet.plan.kept import Kept
from flatnet.plan.planned import planned
from flatnet.state.effects import Surface, Verb
from flatnet.state.scope import EVERYTHING, NOTHING, Scope, of_instance
from tests.db.conftest import a_daemon

# Seconds in which what others did is put right, on a machine that is busy.
PATIENCE = 30
# Seconds into a pass at which its worker is killed, at most.
MIDST = 0.06
MOST_PASSES = 12
# Changes that are followed one by one.
SERIES = 5
# Chains that lead on to profiles.
_NODE = re.compile("flatnet-(tree|p-[0-9a-f]{1,2})")


def walked(directory, steps, flags):
    """Take the steps on a fresh host, which is this network namespace.

    :param flags: options of its daemon
    """
    taken = []
    with ExitStack() as stack:
        walk = Walk(directory, stack, flags)
        try:
            walk.begin()
            for kind, name, number in steps:
                taken.append((kind, name, number))
                getattr(walk, kind)(name, random.Random(number))
            walk.compare("", random.Random(0))
        except BaseException as error:
            lines = "\n".join(f"    {each}," for each in taken)
            error.add_note(f"after these steps:\n{lines}")
            raise


class Walk:
    """One host and its rows; each method without a dash is a step."""

    def __init__(self, directory, stack, flags):
        self._flags = flags
        self._directory = Path(directory)
        files = _shared(self._directory / "networks")
        path = f"{directory}/flatnet.sqlite"
        database = Database(f"sqlite:///{path}")
        stack.callback(database.close)
        schema.upgrade(database)
        a_daemon(database, "node1")
        self._cloud = Cloud(database, path)
        self._cloud.build()
        meddling.settle_in(files)
        plug = flags.get("vif_plug")
        self._plugs = Made(self._cloud) if plug == "external" else Plugs()
        stack.callback(self._plugs.close)
        self._witness = Witness(self._cloud, files, same=False)
        self._daemon = Daemon(
            database, options(files, allow_same_net_traffic=False, **flags)
        )
        stack.callback(lambda: self._daemon.stop())

    def begin(self):
        """Have some instances."""
        chance = random.Random(7)
        for write in (cloud_rows.come, cloud_rows.rule) * 5:
            write(self._cloud, chance)
        self._look()

    def write(self, name, chance):
        """Change rows, and ask about that, about something else or all."""
        scope = self._written(name, chance)
        if chance.random() < 0.4:
            # Asks that came meanwhile are served together.
            scope |= self._written(chance.choice(NAMES["write"]), chance)
        self._run_pass(self._asked(scope, chance))
        if chance.random() < 0.4:
            self._look()

    def follow(self, name, chance):
        """Ask about each change and no more, and see that it was enough."""
        self._look()
        for _ in range(SERIES):
            self._run_pass(self._written_any(chance))
            while self._daemon.is_asked:
                self._run_pass(NOTHING)
        made = self._run_pass(EVERYTHING).changes.made
        # What nobody is in any more stays until all is looked at.
        if any(each.verb is Verb.REMOVED for each in made):
            made = [each for each in made if not _is_of_profiles(each)]
        assert not made, made
        self._witness.check_open()

    def come_between(self, name, chance):
        """Have somebody write and ask while a whole pass reads rows."""
        self._look()
        self._daemon.rows.meanwhile = lambda: self._daemon.reconciler.ask(
            self._written_any(chance)
        )
        self._run_pass(EVERYTHING)
        self._look()

    def meddle(self, name, chance):
        """Have others do something, and see it put right in some way."""
        dice, change = chance.random(), MEDDLING[name]
        if dice < 0.3:
            # A pass may come first that is about something else.
            self._meddled(change, chance)
            self._run_pass(self._written_any(chance))
            return
        self._look()
        before = self._witness.state.ours
        self._meddled(change, chance)
        if dice < 0.7 and change in meddling.SEEN:
            self._wait_for(before)
        self._look()
        text = differences(before, self._witness.state.ours)
        assert not text, f"not put right by a pass: {text}"

    def _meddled(self, change, chance):
        change(self._witness.files, chance)
        self._witness.note_others()

    def kill(self, name, chance):
        """Have the worker die, so that all that it knew is lost."""
        self._daemon.kill_worker()
        outcome = self._run_pass(self._asked(NOTHING, chance))
        # The next one is asked instead, and is given all.
        assert outcome.error is None

    def kill_in_pass(self, name, chance):
        """Have it die half-way."""
        scope = self._asked(self._written_any(chance), chance)
        timer = threading.Timer(
            chance.uniform(0, MIDST), self._daemon.kill_worker
        )
        timer.start()
        self._run_pass(scope)
        timer.join()
        # It may have died between two passes, and nobody knows yet.
        self._pass_over(NOTHING)
        self._look()

    def disconnect(self, name, chance):
        """Have another worker take over, who lacks what a delta is of."""
        scope = self._written_any(chance)
        self._daemon.disconnect()
        self._run_pass(scope)

    def restart(self, name, chance):
        """Stop the daemon and start it with options of its own."""
        same = chance.random() < 0.5
        self._daemon.stop()
        self._witness.note_option(same=same)
        self._daemon = Daemon(
            self._cloud.database,
            options(
                self._witness.files,
                allow_same_net_traffic=same,
                prevent_spoofing=chance.random() < 0.7,
                **self._flags,
            ),
        )
        self._run_pass(NOTHING)

    def connect(self, name, chance):
        """Have some connect who may."""
        self._look()
        possible = sorted(filter(can_connect, self._witness.passed), key=repr)
        six = [packet for packet in possible if ":" in packet.target]
        for some in (possible, six):
            for packet in chance.sample(some, min(20, len(some))):
                connect(packet, chance.randrange(1024, 1 << 16))

    def plug(self, name, chance):
        """Start a guest."""
        links = self._witness.state.ours["links"]
        self._plugs.plug_any(links, chance)

    def unplug(self, name, chance):
        """End a guest."""
        self._plugs.unplug_any(chance)

    def compare(self, name, chance):
        """Hold the host against a fresh one with the same rows."""
        # What somebody uses is kept, and a fresh host never had it.
        self._plugs.close()
        self._look()
        settings = self._daemon.settings
        rows = self._daemon.rows.read(EVERYTHING, Kept())
        parts = planned(rows, settings, {}).parts
        with fresh_namespace() as fresh:
            files = _shared(self._directory / fresh.name)
            wanted = fresh.call(_made_afresh, parts, files)
        text = differences(wanted, self._witness.state.ours)
        assert not text, f"a fresh host is another: {text}"

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


def _is_of_profiles(effect):
    """Whether something of profiles or groups was removed, or led there."""
    if effect.verb is Verb.REMOVED:
        return effect.surface in (Surface.FIREWALL, Surface.IPSET)
    name = getattr(effect.key, "chain", effect.key)
    return effect.verb is Verb.WRITTEN and bool(_NODE.fullmatch(name))


def _shared(directory):
    """A new directory that dnsmasq, which is nobody, can enter."""
    directory.mkdir()
    directory.chmod(0o755)
    return str(directory)


def _made_afresh(parts, files):
    """What a host that knew nothing becomes by its parts."""
    meddling.settle_in(files)
    applier = Applier(started(files))
    try:
        assert applier.apply(parts).failures == ()
        return seen(files).ours
    finally:
        applier.close()
