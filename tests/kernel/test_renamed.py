"""A bridge that somebody renamed lets nobody in whom no rule lets in."""

import pytest
from arrivals import ALL, arrived
from filtered import plan
from pyroute2 import IPRoute
from segment import guest, segment

from flatnet.apply.link.link import ADDRESS_ORIGIN

ANOTHER = "br101"


@pytest.fixture
def net():
    with segment() as built:
        built.node.run("sysctl -qw net.ipv4.conf.default.rp_filter=0")
        built.node.run("ip addr del 10.0.0.1/24 dev br100")
        built.node.call(give_address)
        closed(built)
        yield built


def give_address():
    """Give the bridge its address as the applier does."""
    with IPRoute() as kernel:
        (index,) = kernel.link_lookup(ifname="br100")
        kernel.addr(
            "add",
            index=index,
            address="10.0.0.1",
            prefixlen=24,
            proto=ADDRESS_ORIGIN,
        )


def closed(net):
    plan(net, (guest(1), guest(2)), allow_same_net_traffic=False)


def rename(net, before, after):
    net.node.run(f"ip link set {before} down")
    net.node.run(f"ip link set {before} name {after}")
    net.node.run(f"ip link set {after} up")


def test_nobody_gets_in_meanwhile(net):
    assert arrived(net, "br100") == set()
    rename(net, "br100", ANOTHER)
    assert arrived(net, ANOTHER) == set()
    # The rules may be looked at before the bridge is.
    closed(net)
    assert arrived(net, ANOTHER) == set()


def test_all_is_as_before_once_it_is_put_back(net):
    plan(net, (guest(1), guest(2)))
    assert arrived(net, "br100") == ALL
    rename(net, "br100", ANOTHER)
    assert arrived(net, ANOTHER) == set()
    rename(net, ANOTHER, "br100")
    assert arrived(net, "br100") == ALL
