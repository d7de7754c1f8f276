"""Programs that write rules are there before there are any."""

import os
import select
import signal

import pytest
from edited import FAMILIES

from flatnet.apply import command
from flatnet.apply.filter.iptables.restorers import Restorers

SECONDS = 20
CHAIN = "*filter\n:flatnet-x - [0:0]\nCOMMIT\n"
RULE = "*filter\n-A flatnet-x -j ACCEPT\nCOMMIT\n"


def children():
    """The programs that this process has started."""
    path = f"/proc/{os.getpid()}/task/{os.getpid()}/children"
    with open(path, encoding="ascii") as file:
        return [int(each) for each in file.read().split()]


def prepared(family=4):
    """Restorers of which one has been used, and its successor waits."""
    restorers = Restorers()
    assert restorers.run(family, CHAIN).status == 0
    restorers.prepare()
    return restorers


def saved(family=4):
    """What a table holds; comments say when that was."""
    text = command.run(f"{FAMILIES[family]}-save", "-t", "filter").output
    return "".join(
        each for each in text.splitlines(True) if not each.startswith("#")
    )


@pytest.mark.parametrize("family", [4, 6])
def test_who_waits_is_who_writes(namespace, family):
    def steps():
        restorers = prepared(family)
        (waits,) = children()
        before = saved(family)
        done = restorers.run(family, RULE)
        assert done.status == 0
        assert "flatnet-x -j" not in before
        assert "-A flatnet-x -j ACCEPT" in saved(family)
        return done.pid == waits, children()

    assert namespace.call(steps) == (True, [])


def test_nobody_waits_for_a_family_that_was_not_written(namespace):
    def steps():
        restorers = prepared()
        restorers.prepare()
        one = children()
        Restorers().prepare()
        return len(one), children() == one

    assert namespace.call(steps) == (1, True)


def test_what_others_write_meanwhile_is_known(namespace):
    """What it was started on is not what it writes to."""

    def steps():
        restorers = prepared()
        command.run("iptables", "-F", "flatnet-x")
        command.run("iptables", "-X", "flatnet-x")
        lacking = restorers.run(4, RULE)
        restorers.prepare()
        command.run("iptables", "-N", "flatnet-x")
        command.run("iptables", "-A", "flatnet-x", "-j", "DROP")
        command.run("iptables", "-A", "INPUT", "-j", "ACCEPT")
        found = restorers.run(
            4,
            "*filter\n-D INPUT -j ACCEPT\n-I flatnet-x 2 -j ACCEPT\nCOMMIT\n",
        )
        return lacking.status, found.status, saved()

    lacking, found, text = namespace.call(steps)
    assert (lacking != 0, found) == (True, 0)
    assert "-A INPUT" not in text
    assert "-A flatnet-x -j DROP\n-A flatnet-x -j ACCEPT\n" in text


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_another_is_started_where_somebody_ended_it(namespace, end):
    def steps():
        restorers = prepared()
        (waits,) = children()
        handle = os.pidfd_open(waits)
        os.kill(waits, end)
        assert select.select([handle], [], [], SECONDS)[0]
        done = restorers.run(4, RULE)
        return done.status, done.pid != waits, children()

    assert namespace.call(steps) == (0, True, [])


def test_it_is_the_program_that_the_name_leads_to_now(
    namespace, monkeypatch, tmp_path
):
    other = tmp_path / "iptables-restore"

    def steps():
        restorers = prepared()
        other.write_text("#!/bin/sh\necho other >&2; exit 7\n")
        other.chmod(0o755)
        monkeypatch.setattr(command, "_PATH", f"{tmp_path}:{command._PATH}")
        done = restorers.run(4, RULE)
        # What it waits for, or holds meanwhile, nobody knows.
        restorers.prepare()
        return done.status, done.error, children()

    assert namespace.call(steps) == (7, "other", [])


@pytest.mark.parametrize("backend", ["legacy"], indirect=True)
def test_that_of_legacy_does_not_wait(namespace, backend):
    def steps():
        restorers = prepared()
        none = children()
        return none, restorers.run(4, RULE).status

    assert namespace.call(steps) == ([], 0)


def test_it_ends_with_who_started_it_and_writes_nothing(namespace):
    def steps():
        reader, told = os.pipe()
        child = os.fork()
        if not child:
            prepared()
            os.write(told, str(*children()).encode())
            signal.pause()
        handle = os.pidfd_open(int(os.read(reader, 32)))
        before = saved()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        ended = bool(select.select([handle], [], [], SECONDS)[0])
        return ended, saved() == before

    assert namespace.call(steps) == (True, True)
