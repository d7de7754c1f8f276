"""Guests that ask for the metadata service by ARP, with packets."""

import pytest
from filtered import plan
from segment import guest, segment

from flatnet.apply.link.metadata_address import apply_metadata_address
from flatnet.apply.link.stale_ports import remove_ports
from flatnet.state.changes import Changes
from flatnet.state.plan import METADATA, Plan
from tests.builders import network, settings, snapshot
from tests.planned import host_plan
from tests.waiting import eventually

TARGET = ("tcp", METADATA, 80)
OPTIONS = {"metadata_host": "192.0.2.9", "metadata_port": 5000}
# The kernel answers nobody else's question without this.
ZEROCONF = "ip route add 169.254.0.0/16 dev eth0"


@pytest.fixture
def net():
    with segment() as built:
        for each in (built.guests[1], built.other, built.outside):
            each.namespace.run(ZEROCONF)
        yield built


def whole(net, options=OPTIONS, **of_network):
    """Filter, guard and address of the plan of the segment's node."""
    guests = (guest(1), guest(2))
    plan(net, guests, networks=(network(**of_network),), **options)
    rows = snapshot(networks=(network(**of_network),), interfaces=guests)
    wanted = host_plan(rows, settings(public_interface="ext0", **options))
    first = net.node.call(apply_metadata_address, wanted)
    again = net.node.call(apply_metadata_address, wanted)
    assert again == Changes(warnings=first.warnings)
    return first


def asks(host):
    """Whether somebody answers who has the address."""
    host.namespace.run("ip neigh flush dev eth0")
    host.reaches(("udp", METADATA, 80))
    known = host.namespace.run(f"ip neigh show {METADATA}")
    return "lladdr" in known


def on_loopback(net):
    return METADATA in net.node.run("ip addr show dev lo")


def test_a_guest_is_answered_by_its_own_host_and_keeps_its_address(net):
    assert not asks(net.guests[1])
    whole(net)
    eventually(lambda: net.guests[1].reaches(TARGET) == {TARGET: "open"})
    sockets = net.outside.namespace.run("ss -tnH state all sport = :5000")
    assert "10.0.0.2" in sockets
    # Who has a gateway only has it as before.
    eventually(lambda: net.guests[2].reaches(TARGET) == {TARGET: "open"})


def test_the_service_may_be_on_the_host_itself(net):
    net.node.start("socat", "TCP-LISTEN:8775,fork,reuseaddr", "PIPE")
    whole(net, {"metadata_host": "127.0.0.1"})
    eventually(lambda: net.guests[1].reaches(TARGET) == {TARGET: "open"})


def test_nothing_of_it_crosses_the_uplink_and_nobody_else_is_answered(net):
    whole(net)
    # Another host's guest, and a machine on another of the host's networks.
    assert not asks(net.other)
    assert not asks(net.outside)
    # Nor does a guest hear another host that answers.
    net.node.run(f"ip addr del {METADATA}/32 dev lo")
    net.other.namespace.run(f"ip addr add {METADATA}/32 dev lo")
    assert not asks(net.guests[1])
    seen = net.other.namespace.run("ip neigh show 10.0.0.2")
    assert "lladdr" not in seen


def test_the_one_host_of_a_network_answers_all_of_its_guests(net):
    whole(net, multi_host=False, gateway="10.0.0.1")
    eventually(lambda: asks(net.other))
    assert not asks(net.outside)


def test_what_is_somebody_elses_stays(net):
    net.node.run(f"ip addr add {METADATA}/32 dev ext0")
    assert whole(net).made == ()
    assert not on_loopback(net)
    net.node.run(f"ip addr del {METADATA}/32 dev ext0")
    net.node.run(f"ip route add {METADATA}/32 via 192.0.2.9")
    (line,) = whole(net).warnings
    assert f"leads to {METADATA}, which is not taken" in line
    assert not on_loopback(net)


def test_it_goes_with_what_it_is_for(net):
    whole(net)
    assert on_loopback(net)
    net.node.call(remove_ports, Plan("node1"))
    assert not on_loopback(net)
    assert whole(net, {**OPTIONS, "metadata_host": ""}).made == ()
    assert not on_loopback(net)


def test_a_host_that_answers_for_nobody_else_is_told(net):
    net.node.run("sysctl -qw net.ipv4.conf.all.arp_ignore=1")
    (line,) = whole(net).warnings
    assert "net.ipv4.conf.all.arp_ignore is 1" in line
