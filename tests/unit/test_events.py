"""What goes through the pipe from the applier to the daemon."""

import os

import pytest

from flatnet.apply.events import ANYTHING, HOST, Happened, Hearer, Teller
from flatnet.cmd.planner import HostPlanner
from flatnet.state.scope import EVERYTHING, Scope
from tests.builders import interface, settings, snapshot
from tests.planned import kept_rows

ONE = Happened(ports=("tap1",))


@pytest.fixture
def pipe():
    """Both ends, and descriptors of them for a test that goes deeper."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    yield Teller(writing), Hearer(reading), reading, writing
    os.close(reading)


def test_what_is_told_is_heard_together(pipe):
    teller, hearer, _, writing = pipe
    teller.tell(ONE)
    teller.tell(Happened(ports=("tap2", "tap1")))
    assert hearer.wait() == Happened(ports=("tap1", "tap2"))
    teller.tell(ONE)
    teller.tell(ANYTHING)
    assert hearer.wait() == ANYTHING
    os.close(writing)
    assert hearer.wait() is None


def test_the_host_is_told_beside_ports(pipe):
    teller, hearer, *_ = pipe
    teller.tell(HOST)
    teller.tell(ONE)
    assert hearer.wait() == Happened(ports=("tap1",), host=True)
    assert ONE | HOST | ANYTHING == ANYTHING


def test_nothing_is_not_told(pipe):
    teller, hearer, _, writing = pipe
    teller.tell(Happened())
    os.close(writing)
    assert hearer.wait() is None


def test_a_message_that_comes_in_pieces(pipe):
    _, hearer, _, writing = pipe
    os.write(writing, b'{"ports":["tap1"]}\n{"por')
    assert hearer.wait() == ONE
    os.write(writing, b'ts":["tap2"]}\n')
    assert hearer.wait() == Happened(ports=("tap2",))
    os.close(writing)


def test_a_full_pipe_loses_nothing(pipe):
    teller, hearer, reading, writing = pipe
    names = [f"tap{number:08x}-aa" for number in range(100)]
    full = Happened(ports=tuple(names))
    for _ in range(40):
        teller.tell(full)
    assert hearer.wait() == full
    os.read(reading, 1 << 16)
    hearer = Hearer(reading)
    teller.tell(Happened(ports=("tap1",)))
    assert set(hearer.wait().ports) == {"tap1", *names}
    os.close(writing)


def test_of_too_many_ports_it_is_about_everything():
    names = tuple(f"tap{number}" for number in range(200))
    assert Happened() | Happened(ports=names) == ANYTHING


@pytest.mark.parametrize(
    "line",
    [b"!", b"", b"[]", b'{"ports": "tap1"}', b'{"everything": 1}', b"\xff"],
)
def test_what_cannot_be_read_is_about_everything(pipe, line):
    _, hearer, _, writing = pipe
    os.write(writing, line + b"\n")
    assert hearer.wait() == ANYTHING
    os.close(writing)


def test_ports_are_about_the_rows_of_their_instances():
    rows = kept_rows(snapshot(interfaces=(interface(1), interface(2))))
    found = HostPlanner(settings()).plan(rows, {}, None)
    one = interface(1).instance_uuid
    assert found.scope_of(["tapaaaaaa01-aa"]) == Scope(
        instances=frozenset((one,))
    )
    assert found.scope_of(["tapaaaaaa01-aa", "tap1"]) == EVERYTHING
