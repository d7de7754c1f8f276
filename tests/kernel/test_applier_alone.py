"""One applier works on a host, whatever became of the one before."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from test_applier import FILTERED, PLAN, with_applier, worker_of

from flatnet.apply import channel, files_lock, netns_lock
from flatnet.apply.applier_client import Applier, start_applier
from flatnet.exceptions import HostSetupError
from flatnet.state.parts import Delta
from tests.planned import parted


def started_and_killed(directory, told):
    """Be a daemon whose worker stops in a pass, and die; no return."""
    started = start_applier(
        networks_path=str(directory), dnsmasq_config_file="", top_regex=""
    )
    serving = Applier(started)
    serving.apply(parted(PLAN))
    worker = worker_of(started.process.pid)
    os.kill(worker, signal.SIGSTOP)
    os.write(told, f"{started.process.pid} {worker}".encode())
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_new_applier_waits_for_the_last_step_of_the_old(namespace, tmp_path):
    reader, told = os.pipe()
    with pytest.raises(AssertionError, match="child ended"):
        namespace.call(started_and_killed, tmp_path, told)
    _, worker = map(int, os.read(reader, 100).split())

    def asks(applier, started):
        done = []
        asking = threading.Thread(
            target=lambda: done.append(applier.apply(parted(PLAN)))
        )
        asking.start()
        asking.join(1)
        # It holds the lock, and would do its step at any time.
        assert done == []
        os.kill(worker, signal.SIGCONT)
        asking.join(20)
        return done

    (changes,) = namespace.call(with_applier, asks, tmp_path)
    assert changes.failures == ()
    os.close(reader)
    os.close(told)


def test_who_waits_too_long_says_for_whom(namespace, tmp_path, monkeypatch):
    def second():
        with lock_of(tmp_path), pytest.raises(HostSetupError) as error:
            files_lock.hold(str(tmp_path), lifeline=os.pipe()[0], seconds=0.2)
        return str(error.value)

    text = namespace.call(second)
    assert text.startswith("applier ")
    assert str(tmp_path) in text


def test_others_cannot_take_the_lock(tmp_path):
    """Who can open a file, if only to read it, can lock it."""
    tmp_path.chmod(0o755)
    path = tmp_path / "flatnet-applier.lock"
    path.touch(mode=0o644)
    lifeline, _ = os.pipe()
    os.close(files_lock.hold(str(tmp_path), lifeline=lifeline, seconds=1))
    assert oct(path.stat().st_mode) == "0o100600"


@contextlib.contextmanager
def lock_of(directory):
    """Another process that holds the lock."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        files_lock.hold(str(directory), lifeline=reader, seconds=1)
        os.write(writer, b"!")
        signal.pause()
    os.read(reader, 1)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def slow_applier(code, directory):
    """An applier by other code; (process, lifeline, connection)."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"\0slow-{os.getpid()}")
    listener.listen()
    reading, writing = os.pipe()
    _, happening = os.pipe()
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", code),
            f"--listener={listener.fileno()}",
            f"--lifeline={reading}",
            f"--events={happening}",
            f"--networks-path={directory}",
        ],
        pass_fds=(listener.fileno(), reading, happening),
    )
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(f"\0slow-{os.getpid()}")
    return process, writing, connection


@pytest.mark.parametrize("whole", [False, True])
def test_what_a_dead_worker_started_ends_with_it(namespace, tmp_path, whole):
    """Else its late step would undo the next worker's, or applier's."""
    slow = tmp_path / "bin" / "iptables-restore"
    slow.parent.mkdir()
    slow.write_text(
        f"#!/bin/sh\necho $$ > {tmp_path}/new\n"
        f"mv {tmp_path}/new {tmp_path}/pid\nexec sleep 60\n"
    )
    slow.chmod(0o755)
    code = (
        "import sys; from flatnet.apply import command, process;"
        f"command._PATH = '{slow.parent}:' + command._PATH;"
        "sys.exit(process.main())"
    )

    def killed():
        process, writing, connection = slow_applier(code, tmp_path)
        channel.send(
            connection,
            channel.Request(work=channel.Work(1, Delta(parted(FILTERED)))),
        )
        deadline = time.monotonic() + 20
        while not (tmp_path / "pid").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        worker = worker_of(process.pid)
        if whole:
            process.kill()
        os.kill(worker, signal.SIGKILL)
        pid = int((tmp_path / "pid").read_text())
        while os.path.exists(f"/proc/{pid}"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.close(writing)
        connection.close()
        return process.wait(timeout=20)

    assert namespace.call(killed) == (-signal.SIGKILL if whole else 0)


def test_two_daemons_with_files_of_their_own_are_two_too_many(
    namespace, tmp_path
):
    """They would undo each other's rules, whatever they keep where."""

    def second(applier, started):
        applier.apply(parted(PLAN))
        with pytest.raises(HostSetupError) as error:
            netns_lock.lock_namespace(lifeline=os.pipe()[0], seconds=0.2)
        return str(error.value), started.process.pid

    text, pid = namespace.call(with_applier, second, tmp_path)
    assert text == f"applier {pid} still works on this host: stop it first"


@pytest.mark.parametrize("listens", [True, False])
def test_nobody_else_keeps_an_applier_from_working(
    namespace, tmp_path, listens
):
    script = (
        "import socket, time; s = socket.socket(socket.AF_UNIX);"
        f"s.bind({netns_lock.NAME!r}); {'s.listen(0);' * listens}"
        "print('ready', flush=True); time.sleep(60)"
    )
    squatter = namespace.start(
        *("setpriv", "--reuid=nobody", "--clear-groups", "--"),
        *("/usr/bin/python3", "-c", script),
        stdout=subprocess.PIPE,
    )
    assert squatter.stdout.readline() == b"ready\n"

    def works(applier, started):
        return applier.apply(parted(PLAN)).failures

    assert namespace.call(with_applier, works, tmp_path) == ()
