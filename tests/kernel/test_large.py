"""Large packets of honest guests: fragments, and paths that are narrow."""

import socket

import pytest
from filtered import plan, rule
from segment import guest, segment

OUTSIDE = "192.0.2.9"
SIZE = 8000
NARROW = 1300
SECONDS = 10


@pytest.fixture(scope="module")
def net():
    with segment() as built:
        yield built


def isolated(net, *rules):
    guests = (guest(1, security_group_ids=(1,)), guest(2))
    plan(net, guests, rules, allow_same_net_traffic=False)


def echoed(space, address, port, size):
    """Whether a datagram comes back, as long as it went out."""

    def ask():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.settimeout(SECONDS)
            own.sendto(b"x" * size, (address, port))
            return own.recv(100).decode().removeprefix("::ffff:")

    return space.call(ask)


@pytest.mark.parametrize("source", ["same bridge", "segment", "outside"])
def test_large_datagrams_reach_an_isolated_guest(net, source):
    isolated(net, rule(1, "udp", 5000, 5000))
    sender, address = {
        "same bridge": (net.guests[2], "10.0.0.3"),
        "segment": (net.other, "10.0.0.50"),
        "outside": (net.outside, OUTSIDE),
    }[source]
    assert echoed(sender.namespace, "10.0.0.2", 5000, SIZE) == address


def test_a_guest_sends_large_datagrams(net):
    isolated(net)
    space = net.guests[1].namespace
    assert echoed(space, OUTSIDE, 5000, SIZE)
    assert echoed(space, "10.0.0.50", 5000, SIZE) == "10.0.0.2"


@pytest.fixture
def narrow(net):
    """A way to the outside that takes smaller packets than the bridge."""
    net.node.run(f"ip link set ext0 mtu {NARROW}")
    net.outside.namespace.run(f"ip link set eth0 mtu {NARROW}")
    yield
    net.node.run("ip link set ext0 mtu 1500")
    net.outside.namespace.run("ip link set eth0 mtu 1500")
    net.guests[1].namespace.run("ip route flush cache")


def test_fragments_are_made_smaller_on_the_way(net, narrow):
    isolated(net, rule(1, "udp", 5000, 5000))
    space = net.guests[1].namespace

    def unmarked():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            # IP_MTU_DISCOVER, IP_PMTUDISC_DONT: the way may cut it.
            own.setsockopt(socket.IPPROTO_IP, 10, 0)
            own.settimeout(SECONDS)
            own.sendto(b"x" * SIZE, (OUTSIDE, 5000))
            return own.recv(100)

    assert space.call(unmarked)
    assert echoed(net.outside.namespace, "10.0.0.2", 5000, SIZE) == OUTSIDE


def told_mtu(space):
    """What a guest has learnt of the way to the outside."""
    (route,) = space.json(f"ip -j route get {OUTSIDE}")
    return route.get("metrics", [{}])[0].get("mtu")


def test_an_isolated_guest_learns_of_a_narrow_way(net, narrow):
    """By a message of the host, which is no answer by its addresses."""
    isolated(net)
    space = net.guests[1].namespace

    def marked():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as own:
            own.settimeout(SECONDS)
            own.connect((OUTSIDE, 5000))
            own.sendall(b"x" * 20000)

    space.call(marked)
    space.run(f"ping -c1 -W5 -M do -s 1400 {OUTSIDE}", check=False)
    assert told_mtu(space) == NARROW
