"""Who on the segment has an address is asked before it is taken."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from bridged import addresses, apply, links, plan, reach, tap, uplink
from frames import ARP
from namespaces import enter
from strangers import STRANGER, beyond_uplink, frame

from flatnet.apply.link.arp import PROBES, claimed
from flatnet.apply.link.bridge import apply_bridges
from flatnet.apply.link.unchanged_ports import UnchangedPorts
from tests.effects import BRIDGE

SECONDS = 10


@pytest.fixture
def segment(namespaces):
    return beyond_uplink(namespaces)


def wanted(ip="10.0.0.1", **fields):
    return plan(tap(1), address=f"{ip}/24", uplink="eth1", **fields)


def seen_by(other, action):
    """The ARP requests that a machine sees while something is done."""

    def look():
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as ear:
            ear.bind(("eth0", ARP))
            ear.setblocking(False)
            action()
            found = []
            while True:
                try:
                    frame = ear.recv(2048)
                except BlockingIOError:
                    return found
                found.append(frame)

    return other.call(look)


def while_asked(segment, action, *, times=1):
    """Apply, and do something once the segment, that is empty, was asked.

    Return what both return.

    :param times: how often it was asked by then
    """
    host, other = segment
    other.run("ip addr flush dev eth0")

    def passed():
        # Of a thread alone.
        enter(host.name)
        return apply_bridges(
            wanted(), shut=frozenset(), unchanged=UnchangedPorts()
        )

    def look():
        with (
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as ear,
            ThreadPoolExecutor(1) as thread,
        ):
            ear.bind(("eth0", ARP))
            ear.settimeout(SECONDS)
            changes = thread.submit(passed)
            for _ in range(times):
                ear.recv(2048)
            return action(), changes.result()

    return other.call(look)


def test_an_address_that_a_machine_has_is_not_taken(segment):
    host, _ = segment
    changes = apply(host, wanted())
    (taken,) = changes.taken
    assert (taken.address, taken.answered) == ("10.0.0.1", True)
    assert STRANGER in taken.reason
    (only,) = changes.failures
    assert only.subject == BRIDGE
    assert only.instances == (tap(1).instance_uuid,)
    assert f"10.0.0.1 is that of {STRANGER} on eth1" in only.message
    assert addresses(host, "br100") == []
    # The next one is nobody's.
    reach(host, wanted("10.0.0.2"))
    assert addresses(host, "br100") == ["10.0.0.2/24"]


def test_the_machine_still_has_its_address_to_itself(segment):
    """Nobody's table of neighbours is touched by the question."""
    host, other = segment
    apply(host, wanted())
    assert other.json("ip -j neigh show dev eth0") == []


def test_an_admins_bridge_asks_by_what_he_put_there(segment):
    host, _ = segment
    host.run("ip link add br100 type bridge")
    host.run("ip link set eth1 master br100 up")
    (taken,) = apply(host, plan(tap(1))).taken
    assert STRANGER in taken.reason


def test_what_stands_is_not_asked_about(segment):
    """A restart costs nothing, and an address that stands is kept."""
    host, other = segment
    other.run("ip addr flush dev eth0")

    def passed():
        enter(host.name)
        return apply_bridges(
            wanted(), shut=frozenset(), unchanged=UnchangedPorts()
        )

    assert len(seen_by(other, passed)) == PROBES
    other.run("ip addr add 10.0.0.1/24 dev eth0")
    assert seen_by(other, passed) == []
    assert addresses(host, "br100") == ["10.0.0.1/24"]


def test_guests_that_are_there_do_not_wait_for_answers(segment):
    host, other = segment
    other.run("ip addr flush dev eth0")
    reach(host, wanted())
    host.run("ip link delete br100")

    def look():
        return links(host)[tap(1).name], addresses(host, "br100")

    # They are seen to after the first question.
    (port, address), changes = while_asked(segment, look, times=2)
    assert port["master"] == "br100"
    assert address == []
    assert changes.failures == ()
    reach(host, wanted())


def test_who_puts_the_address_back_meanwhile_hinders_nobody(segment):
    host, _ = segment
    command = "ip addr add 10.0.0.1/24 dev br100"
    _, changes = while_asked(segment, lambda: host.run(command))
    assert changes.failures == ()
    assert addresses(host, "br100") == ["10.0.0.1/24"]
    reach(host, wanted())


def test_a_cable_that_is_out_leads_to_nobody(segment):
    host, other = segment
    other.run("ip link set eth0 down")
    reach(host, wanted())
    assert addresses(host, "br100") == ["10.0.0.1/24"]


def test_a_bridge_without_an_uplink_asks_nobody(namespace):
    begin = time.monotonic()
    uplink(namespace, "eth9")
    reach(namespace, plan(tap(1)))
    assert time.monotonic() - begin < SECONDS
    assert addresses(namespace, "br100") == ["10.0.0.1/24"]


@pytest.mark.parametrize(
    ("heard", "who"),
    [
        (frame(STRANGER, "10.0.0.1", "10.0.0.1"), STRANGER),
        (frame(STRANGER, "10.0.0.1", "10.0.0.9", operation=2), STRANGER),
        # Who asks at the same time as we do.
        (frame(STRANGER, "0.0.0.0", "10.0.0.1"), STRANGER),
        (frame(STRANGER, "10.0.0.8", "10.0.0.1"), ""),
        (frame("02:00:00:00:00:01", "10.0.0.1", "10.0.0.1"), ""),
        (frame(STRANGER, "10.0.0.1", "10.0.0.1")[:40], ""),
    ],
)
def test_what_counts_as_an_answer(heard, who):
    said = claimed(heard, address="10.0.0.1", mac="02:00:00:00:00:01")
    assert said == who


@pytest.mark.parametrize("times", [0, 2])
def test_an_address_that_is_set_is_announced(segment, times):
    """To the segment, in both forms; and what stands is not."""
    host, other = segment
    other.run("ip addr flush dev eth0")
    both = [(1, "10.0.0.1"), (2, "10.0.0.1")] * times

    def told(action):
        return [
            (frame[21], socket.inet_ntoa(frame[28:32]))
            for frame in seen_by(other, action)
            if frame[28:32] != bytes(4)
        ]

    def passed():
        enter(host.name)
        with ThreadPoolExecutor(1) as thread:
            thread.submit(
                apply_bridges,
                wanted(announced=times),
                shut=frozenset(),
                unchanged=UnchangedPorts(),
            ).result()

    def beside():
        # The ear stays where it is.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(passed).result()

    assert told(beside) == both
    assert told(beside) == []
