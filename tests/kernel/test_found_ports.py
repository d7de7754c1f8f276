"""What is found of ports: told once, and again when it is another."""

import os
import signal

import pytest
from test_applier import worker_of
from test_watch import OPTIONS, PORT, ROWS, applier, output

from flatnet.apply.link.taps import opened
from tests.planned import host_plan, parted
from tests.waiting import eventually

PARTS = parted(host_plan(ROWS, OPTIONS))


def found(serving):
    return serving.apply(PARTS).ports


def of_port(ports):
    return next(each for each in ports if each.name == PORT)


@pytest.fixture
def within(namespace, tmp_path):
    """Return a function that calls another with an applier of a namespace."""

    def call(use):
        def used():
            with applier(tmp_path, tmp_path / "log") as serving:
                return use(serving)

        return namespace.call(used)

    return call


def test_what_is_found_as_before_is_the_same(within):
    def passes(serving):
        first = found(serving)
        assert of_port(first).found == "up"
        assert found(serving) is first
        # A pass about one port tells of that alone.
        some = serving.apply(PARTS, looked_at=tuple(PARTS.guests)[:1])
        assert len(some.ports) == 1
        assert found(serving) is first

    within(passes)


def test_a_guest_that_comes_and_goes_is_told(within):
    def passes(serving):
        first = found(serving)
        with opened(PORT):
            eventually(lambda: of_port(found(serving)).carrier)
            held = found(serving)
            assert held is found(serving) is not first
        eventually(lambda: not of_port(found(serving)).carrier)
        assert found(serving) == first

    within(passes)


def test_what_cannot_be_put_right_is_told(within):
    def passes(serving):
        first = found(serving)
        output(f"ip link set {PORT} down")
        output(f"ip link set {PORT} name other0")
        output(f"ip link add {PORT} type bridge")
        told = of_port(found(serving))
        assert told.found == "missing"
        assert told.reason
        output(f"ip link del {PORT}")
        assert of_port(found(serving)).found == "up"
        assert found(serving) == first

    within(passes)


def test_another_worker_tells_all(within):
    def passes(serving):
        first = found(serving)
        os.kill(worker_of(serving._started.process.pid), signal.SIGKILL)
        assert serving.wait_for_event().everything
        with opened(PORT):
            eventually(lambda: of_port(found(serving)).carrier)
        eventually(lambda: found(serving) == first)

    within(passes)
