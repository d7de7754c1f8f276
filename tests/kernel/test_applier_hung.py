"""An applier that hangs, or whose log nobody reads."""

import contextlib
import os
import signal
import time

import pytest
from test_applier import FILTERED, PLAN, with_applier, worker_of
from test_applier_alone import slow_applier

from flatnet.apply.applier_client import Applier, ApplierProcess
from flatnet.exceptions import ApplierUnavailable
from tests.planned import parted

HASTY = (
    "import sys; from flatnet.apply import process;"
    "process.WORKER_PATIENCE = 0.5; sys.exit(process.main())"
)
PATIENCE = 5
SECONDS = 30


def test_a_worker_that_hangs_is_replaced_by_one_that_works(
    namespace, tmp_path
):
    def hang():
        process, lifeline, connection = slow_applier(HASTY, tmp_path)
        connection.close()
        events, _ = os.pipe()
        started = ApplierProcess(
            process, f"\0slow-{os.getpid()}", lifeline, events
        )
        applier = Applier(started, patience=PATIENCE)
        try:
            applier.apply(parted(PLAN))
            worker = worker_of(process.pid)
            os.kill(worker, signal.SIGSTOP)
            with pytest.raises(ApplierUnavailable, match="for 5 s"):
                applier.apply(parted(PLAN))
            failures = applier.apply(parted(PLAN)).failures
            # It waited for the other to be gone.
            assert not os.path.exists(f"/proc/{worker}")
            assert worker_of(process.pid) != worker
            return failures
        finally:
            applier.close()

    assert namespace.call(hang) == ()


def test_a_worker_whose_daemon_went_is_not_waited_for_for_ever(
    namespace, tmp_path
):
    def die():
        process, lifeline, connection = slow_applier(HASTY, tmp_path)
        deadline = time.monotonic() + SECONDS
        while True:
            with contextlib.suppress(ValueError):
                worker = worker_of(process.pid)
                break
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(worker, signal.SIGSTOP)
        # As a daemon's that died, but for the connection.
        os.close(lifeline)
        status = process.wait(timeout=SECONDS)
        connection.close()
        return status, os.path.exists(f"/proc/{worker}")

    assert namespace.call(die) == (0, False)


def test_nobody_who_reads_its_log_does_not_stop_it(namespace, tmp_path):
    def full(applier, started):
        applier.apply(parted(FILTERED))
        os.kill(worker_of(started.process.pid), signal.SIGKILL)
        assert os.read(started.events, 4096)
        applier.apply(parted(FILTERED))
        # What the worker mends it tells its log.
        for number in range(3):
            namespace.run("iptables -F FORWARD")
            os.read(started.events, 4096)
            assert applier.apply(parted(FILTERED)).failures == (), number
        return namespace.run("iptables -S FORWARD")

    def unread():
        reading, writing = os.pipe()
        fill(writing)
        kept = os.dup(2)
        os.dup2(writing, 2)
        try:
            rules, log = with_applier(
                lambda *both: (full(*both), drained(reading)), tmp_path
            )
        finally:
            os.dup2(kept, 2)
            os.close(writing)
        with os.fdopen(reading, "rb") as stream:
            return rules, (log + stream.read()).decode()

    rules, log = namespace.call(unread)
    assert "flatnet" in rules
    assert "the worker ended with status 9" in log
    assert "changed rules of flatnet" in log


def fill(descriptor):
    """Write until nobody could any more, and leave it blocking."""
    os.set_blocking(descriptor, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(descriptor, b"." * 4095 + b"\n")
    os.set_blocking(descriptor, True)


def drained(reading):
    """Be the reader again, until the applier has said what it had to."""
    deadline = time.monotonic() + SECONDS
    log = b""
    while b"changed rules" not in log:
        assert time.monotonic() < deadline
        log += os.read(reading, 1 << 16)
    return log
