"""Looks that cost something rest for a multiple of it."""

import time

import pytest

from flatnet.apply.cpu_budget import CpuBudget

SECONDS = 0.02


def test_what_was_never_done_is_due():
    assert CpuBudget().is_due


def test_a_look_rests_for_much_longer_than_it_took():
    ration = CpuBudget()
    with ration.taken():
        end = time.thread_time() + SECONDS
        while time.thread_time() < end:
            pass
    assert not ration.is_due
    time.sleep(10 * SECONDS)
    assert not ration.is_due
    time.sleep(70 * SECONDS)
    assert ration.is_due


def test_to_be_kept_waiting_takes_nothing():
    ration = CpuBudget()
    with ration.taken():
        time.sleep(SECONDS)
    time.sleep(10 * SECONDS)
    assert ration.is_due


def test_one_that_failed_does_not_rest():
    ration = CpuBudget()
    with pytest.raises(OSError, match="refused"), ration.taken():
        raise OSError("refused")
    assert ration.is_due
