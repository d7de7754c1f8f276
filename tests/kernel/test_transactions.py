"""What iptables-restore refuses for no fault of a chain."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from forced import PORTS, applier, plan_of_groups, up

from flatnet.apply import command
from flatnet.apply.filter.iptables import restore
from flatnet.state.effects import Subject, Surface

SCRIPT = """#!/bin/sh
echo >> {log}
[ -e {stop} ] && {{ [ -s {stop} ] || rm {stop}; echo busy >&2; exit 4; }}
export XTABLES_LOCKFILE={lock}
exec {program} {name} "$@"
"""


BOTH, ALL = plan_of_groups(1, 2), plan_of_groups(1, 2, 3)


@pytest.fixture
def apply(namespace, tmp_path):
    return applier(namespace, tmp_path)


class Programs:
    """iptables' programs by another way: they note how often they run.

    They refuse to work once, if `stop` is there, or for as long as it is not
    empty.
    """

    def __init__(self, directory, monkeypatch, backend):
        self.log = directory / "log"
        self.stop = directory / "stop"
        self.lock = directory / "lock"
        program = shutil.which(f"xtables-{backend}-multi")
        for name in ("iptables-restore", "ip6tables-restore"):
            script = directory / f"{backend}-{name}"
            script.write_text(
                SCRIPT.format(
                    log=self.log,
                    stop=self.stop,
                    lock=self.lock,
                    program=program,
                    name=name,
                )
            )
            script.chmod(0o755)
            (directory / name).symlink_to(script)
            save = name.replace("restore", "save")
            (directory / save).symlink_to(program)
        path = f"{directory}:{command._PATH}"
        monkeypatch.setattr(command, "_PATH", path)

    @property
    def runs(self):
        return len(self.log.read_text()) if self.log.exists() else 0


@pytest.fixture
def programs(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="fnt-") as name:
        yield lambda backend: Programs(Path(name), monkeypatch, backend)


def test_a_transaction_that_is_refused_once_is_nobodys_fault(
    namespace, apply, programs
):
    nft = programs("nft")
    assert apply(BOTH).failures == ()
    nft.stop.touch()
    changes = apply(ALL)
    assert not nft.stop.exists()
    assert changes.failures == ()
    assert up(namespace) == PORTS


def test_what_is_refused_for_no_chain_is_not_searched_in_all(
    namespace, apply, programs
):
    many = plan_of_groups(*range(1, 100))
    nft = programs("nft")
    assert apply(BOTH).failures == ()
    nft.stop.write_text("for as long as this is here")
    before = nft.runs
    changes = apply(many)
    assert nft.runs - before < 100
    (four,) = (
        each
        for each in changes.failures
        if each.subject == Subject(Surface.FIREWALL, "iptables filter")
    )
    assert four.message == "busy"
    # Nothing is let in to who comes, as long as his rules are not there.
    assert up(namespace)[:2] == PORTS[:2]
    nft.stop.unlink()
    assert apply(ALL).failures == ()
    assert up(namespace) == PORTS


@pytest.fixture
def holder():
    """Return a function that holds a lock until the process ends."""
    started = []

    def hold(path, seconds):
        held = subprocess.Popen(
            ["flock", path, "sh", "-c", f"echo held; exec sleep {seconds}"],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(held)
        assert held.stdout.readline() == "held\n"
        return held

    yield hold
    for held in started:
        if held.poll() is None:
            os.killpg(held.pid, 9)
        held.wait()
        held.stdout.close()


def test_a_lock_is_waited_for(namespace, apply, programs, holder):
    legacy = programs("legacy")
    assert apply(BOTH).failures == ()
    holder(legacy.lock, 2)
    assert apply(ALL).failures == ()
    assert up(namespace) == PORTS


def test_a_lock_that_lasts_shuts_nobody_and_blames_no_chain(
    namespace, apply, programs, holder, monkeypatch
):
    legacy = programs("legacy")
    assert apply(BOTH).failures == ()
    held = holder(legacy.lock, 60)
    monkeypatch.setattr(restore, "_WAIT_SECONDS", "1")
    before = legacy.runs
    changes = apply(ALL)
    assert legacy.runs - before == 1
    (failure,) = changes.failures
    assert "/run/xtables.lock" in failure.message
    assert "fuser" in failure.message
    assert up(namespace) == PORTS
    os.killpg(held.pid, 9)
    held.wait()
    assert apply(ALL).failures == ()
    assert up(namespace) == PORTS
