"""Who comes in beside the bridge: forged sources, and the name server."""

import sys

import pytest
from filtered import plan, rule
from frames import ether, ip, ip6, udp
from segment import SERVER, guest, segment

OUTSIDE, NODE = "192.0.2.9", "192.0.2.1"
GATEWAY = "10.0.0.1"
# Where a host says which groups it listens to (IGMPv3).
REPORTS = "224.0.0.22"
CIDR_V6 = "2001:db8::/64"
GUEST_V6 = "2001:db8::f816:3eff:fe00:"
CLOSED = {"allow_same_net_traffic": False}


@pytest.fixture(scope="module")
def net():
    with segment() as built:
        for device in ("all", "default", "ext0", "br100"):
            built.node.run(f"sysctl -qw net.ipv4.conf.{device}.rp_filter=0")
        built.node.run("sysctl -qw net.ipv6.conf.all.forwarding=1")
        built.node.run("ip addr add 2001:db8::1/64 dev br100 nodad")
        yield built


def mac(net, device):
    (link,) = net.node.json(f"ip -j link show {device}")
    return link["address"]


def tracked(net, address):
    """The connections that the node remembers an address to have begun.

    But for its own reports of the groups that it listens to, which it sends
    when it likes.
    """
    found = net.node.run("conntrack -L", check=False)
    found += net.node.run("conntrack -L -f ipv6", check=False)
    return [
        line
        for line in found.splitlines()
        if line.split("src=")[1].startswith(f"{address} ")
        and f" dst={REPORTS} " not in line
    ]


def udp_packet(source, target, marker):
    # Nobody answers on its port.
    body = udp(5999, 5999, f"marker:{marker};".encode())
    return ip(source, target, 17, body)


def sent_by_outside(net, packet, *, kind=0x0800):
    """Send a packet to the node from beside its public interface."""
    frame = ether(mac(net, "ext0"), "02:00:00:00:09:09", kind, packet)
    net.outside.send(frame)
    # What comes later has come when this is answered.
    net.outside.namespace.run(f"ping -c1 -W5 {NODE}")


@pytest.mark.parametrize("source", ["10.0.0.2", "10.0.0.77", GATEWAY])
def test_nobody_outside_begins_a_connection_as_a_guest(net, source):
    """Else the host forwards it, and lets in what answers it."""
    plan(net, (guest(1), guest(2)), **CLOSED)
    sent_by_outside(net, udp_packet(source, OUTSIDE, "as-guest"))
    assert tracked(net, source) == []
    assert "as-guest" not in net.outside.seen
    # In truth it does work.
    net.guests[1].reaches(("udp", OUTSIDE, 80))
    assert tracked(net, "10.0.0.2")


@pytest.mark.parametrize("source", ["10.0.0.3", "10.0.0.77", GATEWAY])
def test_nobody_outside_is_of_the_same_network(net, source):
    plan(net, (guest(1, security_group_ids=(1,)), guest(2)))
    sent_by_outside(net, udp_packet(source, "10.0.0.2", f"of-{source}"))
    sent_by_outside(net, udp_packet(OUTSIDE, "10.0.0.3", "in-truth"))
    assert "in-truth" in net.guests[2].wait_for("in-truth")
    assert tracked(net, source) == []


def test_nobody_outside_is_of_the_same_network_in_ipv6(net):
    plan(
        net,
        (guest(1, security_group_ids=(1,)), guest(2)),
        cidr_v6=CIDR_V6,
    )

    def packet(source, number, marker):
        ends = (source, f"{GUEST_V6}{number}")
        body = udp(5999, 5999, f"marker:{marker};".encode(), over=ends)
        return ip6(*ends, 17, body)

    for number in (1, 2):
        space = net.guests[number].namespace
        space.run(f"ip addr add {GUEST_V6}{number}/64 dev eth0", check=False)
    sent_by_outside(net, packet(f"{GUEST_V6}2", 1, "forged6"), kind=0x86DD)
    sent_by_outside(net, packet("2001:db8:9::1", 2, "truth6"), kind=0x86DD)
    net.guests[2].wait_for("truth6")
    assert tracked(net, f"{GUEST_V6}2") == []


def test_nobody_on_the_segment_is_the_gateway(net):
    """What the bridge gives to the host does not bear its own address."""
    plan(net, (guest(1), guest(2)), **CLOSED)
    frame = ether(
        mac(net, "br100"),
        "fa:16:3e:00:00:32",
        0x0800,
        udp_packet(GATEWAY, OUTSIDE, "as-gateway"),
    )
    net.other.send(frame)
    net.other.namespace.run(f"ping -c1 -W5 {GATEWAY}")
    assert tracked(net, GATEWAY) == []
    assert "as-gateway" not in net.outside.seen


def test_a_host_with_an_address_of_the_network_elsewhere_is_not_cut_off(net):
    """It is told instead: it might be the way by which it is reached."""
    net.node.run("ip addr add 10.0.0.200/32 dev ext0")
    try:
        plan(net, (guest(1), guest(2)))
        sent_by_outside(net, udp_packet("10.0.0.77", NODE, "x"))
        assert tracked(net, "10.0.0.77")
    finally:
        net.node.run("ip addr del 10.0.0.200/32 dev ext0")


@pytest.fixture
def name_server(net):
    """Who answers on port 53 of every address of the node."""
    command = (sys.executable, "-c", SERVER, "53", "67")
    server = net.node.start(*command, stdout=-1, bufsize=0)
    assert server.stdout.readline() == b"ready\n"
    yield
    server.kill()


def test_names_are_for_the_guests_of_this_host_alone(net, name_server):
    net.outside.namespace.run(f"ip route replace {GATEWAY} via {NODE}")
    questions = (("udp", GATEWAY, 53), ("tcp", GATEWAY, 53))
    for options in (CLOSED, {}, {"prevent_spoofing": False}):
        plan(net, (guest(1), guest(2)), **options)
        assert set(net.guests[1].reaches(*questions)) == set(questions)
        assert net.outside.reaches(*questions, ("udp", GATEWAY, 67)) == {}
        assert net.other.reaches(*questions, ("udp", GATEWAY, 67)) == {}
        assert set(net.node.call(_own, questions)) == set(questions)
        # The host is no worse reached otherwise.
        assert net.outside.reaches(("icmp", GATEWAY, 8))


def _own(questions):
    from segment import probe

    return probe(questions)


def test_the_host_routes_nothing_back_into_the_bridge(net):
    """Else one guest fills the host's table of neighbours."""
    plan(net, (guest(1), guest(2)), rules=(rule(1),))
    gateway = mac(net, "br100")
    net.guests[1].send(
        *(
            ether(
                gateway,
                guest(1).mac,
                0x0800,
                udp_packet("10.0.0.2", f"10.0.0.{number}", "back"),
            )
            for number in range(100, 250)
        )
    )
    net.guests[1].namespace.run(f"ping -c1 -W5 {GATEWAY}")
    neighbours = {
        entry["dst"] for entry in net.node.json("ip -j neigh show dev br100")
    }
    assert not {f"10.0.0.{n}" for n in range(100, 250)} & neighbours
