"""Commands of the system end with who started them, and are what they say."""

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flatnet.apply import command
from flatnet.exceptions import HostSetupError

SOURCES = Path(__file__).parents[2]
SECONDS = 30
RUN = """
import sys
from flatnet.apply import command
command.run(*sys.argv[1:])
"""
# The command begins once its input has ended.
LATE = """
import os, subprocess, sys
from flatnet.apply import command
words = command.bound(os.getpid(), *sys.argv[1:])
begin = ["/bin/sh", "-c", 'read line; exec "$@"', "sh"]
late = subprocess.Popen([*begin, *words])
"""


def starter(code, *words, **options):
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], cwd=SOURCES, **options
    )


def has_ended(handle):
    """Whether a process ends in time; its descriptor is closed."""
    try:
        return bool(select.select([handle], [], [], SECONDS)[0])
    finally:
        os.close(handle)


def test_a_command_has_the_pid_that_is_told_and_its_own_name():
    done = command.run("sh", "-c", "echo $$; cat /proc/$$/cmdline")
    pid, words = done.output.splitlines()
    assert int(pid) == done.pid
    assert words.split("\0")[:2] == ["sh", "-c"]
    assert (done.status, done.error) == (0, "")


def test_input_status_and_errors():
    done = command.run("sh", "-c", "cat; echo ' a ' >&2; exit 3", text="in\n")
    assert (done.status, done.output, done.error) == (3, "in\n", "a")


def test_what_is_no_text_is_given_back_as_it_was():
    odd = command.run("printf", "a\\351b\\r\\205").output
    assert command.run("cat", text=odd).output == odd
    counted = command.run("od", "-An", "-tx1", text=odd).output
    assert counted.split() == ["61", "e9", "62", "0d", "85"]


def test_what_is_no_text_is_told_in_text():
    script = r"printf 'no \351\n' >&2"
    assert command.run("sh", "-c", script).error == r"no \xe9"


def test_words_reach_a_command_as_they_are():
    words = ("", "a b", "$PPID", "'\"", "-c", "--", "*")
    done = command.run("printf", "%s\n", *words)
    assert done.output.splitlines() == list(words)


def test_a_command_is_killed_with_who_started_it(tmp_path):
    told = tmp_path / "told"
    os.mkfifo(told)
    script = f"echo $$ > {told}; exec sleep 60"
    with starter(RUN, "sh", "-c", script) as started:
        handle = os.pidfd_open(int(told.read_text()))
        started.kill()
    assert has_ended(handle)


@pytest.mark.parametrize("lives", [True, False])
def test_a_command_whose_starter_died_before_does_not_begin(tmp_path, lives):
    """Nobody tells it, for it asked for the signal after that."""
    begun = tmp_path / "begun"
    code = LATE + "late.wait()" * lives
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with starter(code, "touch", str(begun), **pipes) as started:
        if not lives:
            started.wait(timeout=SECONDS)
        started.stdin.close()
        # It has what the command has, so that this is the end of both.
        assert started.stdout.read() == b""
    assert begun.exists() == lives


def test_nothing_begins_for_another_parent(tmp_path):
    begun = tmp_path / "begun"
    for parent in (os.getppid(), os.getpid()):
        assert not begun.exists()
        subprocess.run(command.bound(parent, "touch", str(begun)), check=False)
    assert begun.exists()


def test_what_goes_into_the_background_lives_on(tmp_path):
    told = tmp_path / "told"
    os.mkfifo(told)
    script = (
        "sleep 60 < /dev/null > /dev/null 2>&1 &"
        f"echo $! > {told}; read line < {told}"
    )
    with starter(RUN, "sh", "-c", script) as started:
        pid = int(told.read_text())
        handle = os.pidfd_open(pid)
        told.write_text("end\n")
        assert started.wait(timeout=SECONDS) == 0
    assert not select.select([handle], [], [], 0)[0]
    os.kill(pid, 9)
    assert has_ended(handle)


@pytest.mark.parametrize(
    ("name", "package"),
    [("dnsmasq", "dnsmasq-base"), ("iptables-restore", "iptables")],
)
def test_what_is_missing_is_named_by_its_package(
    monkeypatch, tmp_path, name, package
):
    monkeypatch.setattr(command, "_PATH", str(tmp_path))
    # Neither of them can be run.
    (tmp_path / name).mkdir()
    with pytest.raises(HostSetupError) as error:
        command.run(name)
    text = f"{package} is not installed: apt-get install {package}"
    assert str(error.value) == text


def test_what_binds_commands_may_be_missing(monkeypatch):
    monkeypatch.setattr(command, "_SETPRIV", "/nonexistent/setpriv")
    with pytest.raises(HostSetupError, match="apt-get install util-linux"):
        command.run("true")


def test_an_end_is_waited_for_and_not_looked_for(monkeypatch):
    """It comes after that of its output."""
    looked = []
    monkeypatch.setattr(time, "sleep", looked.append)
    done = command.run("sh", "-c", "exec >&- 2>&-; sleep 0.1; exit 3")
    assert done.status == 3
    assert looked == []


def test_what_does_not_end_is_killed(monkeypatch):
    mine = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    before = mine.read_text()
    monkeypatch.setattr(command, "SECONDS", 0.1)
    with pytest.raises(HostSetupError, match=r"sleep did not end within"):
        command.run("sleep", "60")
    assert mine.read_text() == before
