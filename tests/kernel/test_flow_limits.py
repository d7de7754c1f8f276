"""How many connections one guest has the machine remember, and at what cost.

Each frame that is sent here is the first of a connection of its own, and has
no answer: its sender keeps all that it was allowed to begin.
"""

import socket
import struct
import time

import pytest
from filtered import plan, rule
from segment import guest, segment, udp_frame

# What a guest has for certain, and what it has at most.
UNHINDERED, MOST = 12000, 40960
PER_PORT = 60000
WEB = ("udp", "192.0.2.9", 80)
# The seconds that the kernel took to look through so many, or more.
ONE_LIST = 0.002


@pytest.fixture
def net():
    with segment() as built:
        guests = (guest(1), guest(2), guest(3))
        plan(built, guests, (rule(1),))
        # Nothing ends by itself in a test, and nobody answers.
        built.node.run("sysctl -qw net.netfilter.nf_conntrack_udp_timeout=600")
        built.guests[2].namespace.run(
            "iptables -t raw -A PREROUTING -s 10.0.0.2 -p udp -j DROP"
        )
        yield built


def begin(net, count, *, first=0):
    """Begin connections from guest 1 to guest 2, `first` being the number."""
    numbers = range(first, first + count)
    net.guests[1].send(*(_frame(number) for number in numbers))
    return remembered(net)


def _frame(number):
    frame = udp_frame(
        "10.0.0.2",
        "10.0.0.3",
        "",
        macs=(guest(2).mac, guest(1).mac),
    )
    high, low = divmod(number, PER_PORT)
    ports = struct.pack(">HH", 1024 + low, 7000 + high)
    return frame[:34] + ports + frame[38:]


def remembered(net):
    """How many of guest 1 there are."""
    told = net.node.run("conntrack -L -s 10.0.0.2", check=False)
    return len(told.splitlines())


def test_a_guest_has_its_share_and_no_more(net):
    assert begin(net, UNHINDERED) == UNHINDERED
    assert 0.9 * MOST < begin(net, 2 * MOST, first=UNHINDERED) <= MOST
    for other in (2, 3):
        assert net.guests[other].reaches(WEB)


def test_what_has_ended_may_be_begun_again(net):
    begin(net, 2 * MOST)
    net.node.run("conntrack -D -s 10.0.0.2")
    assert begin(net, UNHINDERED) == UNHINDERED


def test_to_begin_one_is_as_cheap_with_many(net):
    begin(net, UNHINDERED)
    assert min(net.guests[1].namespace.call(paced, UNHINDERED)) < ONE_LIST / 4


def paced(first):
    """Seconds of single first packets, more than a jiffy apart."""
    taken = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("eth0", 0))
        for number in range(first, first + 20):
            frame = _frame(number)
            time.sleep(0.01)
            before = time.monotonic()
            raw.send(frame)
            taken.append(time.monotonic() - before)
    return taken


def test_a_stream_without_answers_is_one(net):
    net.guests[1].send(*(_frame(0),) * 1000)
    held = net.node.run("nft list set inet flatnet flows4")
    assert held.count("ct count over") == 1
