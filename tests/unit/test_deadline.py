"""One end for all that a call waits for, and each call has its own."""

import math
import threading

import pytest

from flatnet import deadline
from flatnet.exceptions import HostSetupError
from flatnet.reconciler import Reconciler
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
