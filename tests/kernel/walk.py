"""A host that lives through steps, and is held against its laws after each."""

import random
import re
import threading
from contextlib import ExitStack

import meddling
import tampering
from deafness import deaf
from driven import started
from flows import can_connect, connect
from host_state import differences, seen
from living import Living, shared
from namespaces import fresh_namespace
from steps import MEDDLING, NAMES, OF_PROCESS, RATIONED, SEEN

from flatnet.apply.applier_client import Applier
from flatnet.plan.kept_rows import Kept
from flatnet.plan.planned import planned
from flatnet.state.effects import Surface, Verb
from flatnet.state.scope import EVERYTHING, NOTHING

# Seconds into a pass at which its worker is killed, at most.
MIDST = 0.06
# Changes that are followed one by one.
SERIES = 5
# Chains that lead on to profiles.
_NODE = re.compile("flatnet-(tree|p-[0-9a-f]{1,2})")


def walked(directory, steps, host):
    """Take the steps on a fresh host, which is this network namespace.

    :param host: what kind of host it is
    """
    taken = []
    with ExitStack() as stack:
        walk = Walk(directory, stack, host)
        try:
            for kind, name, number in steps:
                taken.append((kind, name, number))
                getattr(walk, kind)(name, random.Random(number))
            walk.compare("", random.Random(0))
        except BaseException as error:
            lines = "\n".join(f"    {each}," for each in taken)
            error.add_note(f"after these steps:\n{lines}")
            raise


class Walk(Living):
    """One that takes steps, each of which is a method without a dash."""

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

        def asked():
            before = self._witness.now
            scope = self._written_any(chance)
            if scope.everything:
                self._witness.note_missed(before)
            self._daemon.reconciler.ask(scope)

        self._daemon.rows.meanwhile = asked
        self._run_pass(EVERYTHING)
        self._look()

    def meddle(self, name, chance):
        """Have others do something, and see it put right in some way."""
        dice, change = chance.random(), MEDDLING[name]
        if dice < 0.3 and name not in OF_PROCESS:
            # A pass may come first that is about something else.
            self._meddled(change, chance)
            self._run_pass(self._written_any(chance))
            return
        self._look()
        before = self._witness.state.ours
        self._meddled(change, chance)
        if name in RATIONED:
            self._look_until(before)
        elif dice < 0.7 and name in SEEN:
            self._wait_for(before)
        self._look()
        self._is_again(before)

    def overflow(self, name, chance):
        """Have others do more than the worker hears, and something of it."""
        self._look()
        before = self._witness.state.ours

        def done():
            with deaf(self._daemon.workers()):
                self._meddled(MEDDLING[name], chance)

        if chance.random() < 0.5:
            done()
            self._wait_for(before)
        else:
            # In the midst of a pass, which looks at the host after that.
            self._daemon.rows.meanwhile = done
            self._run_pass(EVERYTHING)
        self._look()
        self._is_again(before)

    def be_away(self, name, chance):
        """Have others do something while there is no daemon."""
        self._look()
        before = self._witness.state.ours
        self._daemon.stop()
        try:
            self._meddled(MEDDLING[name], chance)
        finally:
            self._start_again()
        self._look()
        self._is_again(before)

    def _is_again(self, before):
        text = differences(before, self._witness.state.ours)
        assert not text, f"not put right by a pass: {text}"

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
        self._start(
            allow_same_net_traffic=same,
            prevent_spoofing=chance.random() < 0.7,
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
        tampering.give_up_renamed()
        self._witness.note_others()
        self._look()
        settings = self._daemon.settings
        rows = self._daemon.rows.read(EVERYTHING, Kept())
        parts = planned(rows, settings, {}).parts
        with fresh_namespace() as fresh:
            files = shared(self._directory / fresh.name)
            wanted = fresh.call(_made_afresh, parts, files)
        text = differences(wanted, self._witness.state.ours)
        assert not text, f"a fresh host is another: {text}"


def _is_of_profiles(effect):
    """Whether something of profiles or groups was removed, or led there."""
    if effect.verb is Verb.REMOVED:
        return effect.surface in (Surface.FIREWALL, Surface.IPSET)
    name = getattr(effect.key, "chain", effect.key)
    return effect.verb is Verb.WRITTEN and bool(_NODE.fullmatch(name))


def _made_afresh(parts, files):
    """What a host that knew nothing becomes by its parts."""
    meddling.settle_in(files)
    applier = Applier(started(files))
    try:
        assert applier.apply(parts).failures == ()
        return seen(files).ours
    finally:
        applier.close()
