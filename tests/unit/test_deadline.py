"""One end for all that a call waits for, and each call has its own."""

import math
import threading
import time

import pytest

from flatnet import deadline
from flatnet.db.mysql import BoundConnection
from flatnet.db.tls import SharedContext
from flatnet.exceptions import HostSetupError
from flatnet.passes.reconciler import Reconciler
from flatnet.state.scope import EVERYTHING


def test_the_sooner_end_counts_and_ends_with_its_block():
    assert deadline.left() == math.inf
    assert deadline.left(7) == 7
    with deadline.within(100):
        with deadline.within(1000):
            assert 90 < deadline.left() <= 100
        with deadline.within(-1):
            assert deadline.left(7) == 0
        assert 90 < deadline.left() <= 100
    assert deadline.left() == math.inf


def test_threads_have_ends_of_their_own():
    found = []
    with deadline.within(1):
        thread = threading.Thread(target=lambda: found.append(deadline.left()))
        thread.start()
        thread.join()
    assert found == [math.inf]


def test_a_pass_is_waited_for_no_longer_than_the_caller_waits():
    idle = Reconciler(rows=None, planner=None, applier=None, interval=60)
    with deadline.within(0.1), pytest.raises(HostSetupError, match="it keeps"):
        idle.ask_and_wait(1000, EVERYTHING)


def test_a_connection_waits_by_the_deadline_of_its_statement():
    """PyMySQL asks for each row, and most answers are those of before."""
    connection = BoundConnection(tls=SharedContext(), defer_connect=True)
    with deadline.within(100):
        assert 99 < connection._write_timeout <= 100.25
        assert 99 < connection._read_timeout <= 100.25
    with deadline.within(1.5):
        # Whoever used it before had more time.
        assert connection._write_timeout <= 1.75
        time.sleep(0.6)
        assert connection._read_timeout <= 1
