"""What is for a guest and goes to its network by another way is let go."""

import socket

import pytest
from arrivals import GUEST
from filtered import plan
from segment import guest, segment

GATEWAY = "192.0.2.9"


@pytest.fixture
def net():
    """A host that is no part of the network: a router leads there."""
    with segment() as built:
        built.node.run("ip addr flush dev br100")
        yield built


def sent(net):
    net.outside.seen.clear()
    net.node.call(send, (b"marker:node;", GUEST), (b"marker:last;", GATEWAY))
    return set(net.outside.wait_for("last")) - {"last", "ready"}


def send(*datagrams):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        for body, to in datagrams:
            own.sendto(body, (to, 5999))


@pytest.mark.parametrize("allowed", [True, False])
def test_by_a_card(net, allowed):
    net.node.run(f"ip route add default via {GATEWAY}")
    plan(net, (guest(1), guest(2)), dhcp=False, allow_same_net_traffic=allowed)
    assert sent(net) == {"node"}


def test_by_a_bridge_of_somebody_elses(net):
    net.node.run("ip link add adm0 type bridge")
    net.node.run("ip addr flush dev ext0")
    net.node.run("ip addr add 192.0.2.1/24 dev adm0")
    net.node.run("ip link set adm0 up")
    net.node.run("ip link set ext0 master adm0")
    net.node.run(f"ip route add default via {GATEWAY}")
    plan(net, (guest(1), guest(2)), dhcp=False)
    assert sent(net) == {"node"}


def test_by_what_stands_on_its_bridge(net):
    """No rule of iptables names it, so that nobody would have judged."""
    net.node.run("ip link add mac0 link br100 type macvlan mode bridge")
    net.node.run("ip link set mac0 up")
    net.node.run(f"ip route add {GUEST}/32 dev mac0")
    net.node.run(f"ip neigh add {GUEST} lladdr {guest(2).mac} dev mac0")
    net.node.run(f"ip route add default via {GATEWAY}")
    plan(net, (guest(1), guest(2)), dhcp=False, allow_same_net_traffic=False)
    with pytest.raises(PermissionError):
        sent(net)
