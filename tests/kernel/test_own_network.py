"""A network that is the host's own is refused, and the host stays there."""

from dataclasses import replace

import pytest
from bridged import (
    addresses,
    apply,
    failure,
    instance,
    plan,
    reach,
    tap,
    uplink,
)
from guarded import guard, guarded_network

from flatnet.apply.filter.guard.guard import Guarding, apply_guard
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.link.addressing import conflicts
from flatnet.apply.link.device_reads import DUMP
from flatnet.apply.link.stale_ports import withdraw
from flatnet.apply.link.strangers import Strangers, strangers, ways
from flatnet.state.effects import Effect, Surface, Verb
from flatnet.state.taken_addresses import InUse
from tests.effects import BRIDGE

BROKER = InUse("10.0.0.9", "the broker")
ROUTER = InUse("10.0.0.1", "the default router")
MY_IP = InUse("10.0.0.5", "my_ip", is_own=True)
LAN = ("eth0", "10.0.0.5/24")


def wanted(*in_use, address="10.0.0.2/24", **fields):
    return replace(
        plan(tap(1), address=address, **fields), in_use=tuple(in_use)
    )


def card(namespace, name, address=None):
    """A device with somebody at its other end, and the host's address."""
    uplink(namespace, name)
    namespace.run(f"ip link set {name} up")
    if address:
        namespace.run(f"ip addr add {address} dev {name}")


def taken_back(address):
    detail = f"address {address}"
    return Effect(Surface.BRIDGE, Verb.REMOVED, "br100", detail)


def refused(namespace, given):
    only = failure(namespace, given)
    assert only.subject == BRIDGE
    assert only.instances == (instance(1),)
    assert "10.0.0.0/24 of br100" in only.message
    assert "range of its own" in only.message
    return only.message


def test_the_lan_of_the_broker(namespace):
    card(namespace, *LAN)
    text = refused(namespace, wanted(BROKER))
    assert "holds 10.0.0.9, the broker of this host" in text
    assert "by eth0" in text


def test_the_lan_of_nobody_that_the_daemon_knows(namespace):
    """Of whoever set it up, perhaps."""
    card(namespace, *LAN)
    assert "10.0.0.5/24 of eth0" in refused(namespace, wanted())


def test_a_router_that_is_no_neighbour(namespace):
    """As clouds have it: one address, and the router said to be on link."""
    card(namespace, "eth0", "203.0.113.5/32")
    namespace.run("ip route add default via 10.0.0.1 dev eth0 onlink")
    text = refused(namespace, wanted(ROUTER))
    assert "holds 10.0.0.1, the default router" in text
    assert "by eth0" in text


def test_an_address_of_the_host_itself(namespace):
    card(namespace, "eth0", "10.0.0.5/32")
    assert "10.0.0.5, my_ip" in refused(namespace, wanted(MY_IP))


@pytest.mark.parametrize(
    "route",
    [
        "10.0.0.128/25 via 192.0.2.1",
        "10.0.0.0/24 dev eth0 metric 500",
        "10.0.0.0/16 dev eth0",
        "10.0.0.64/26 nexthop via 192.0.2.1 nexthop via 192.0.2.2",
    ],
)
def test_a_range_that_another_device_has(namespace, route):
    card(namespace, "eth0", "192.0.2.5/24")
    namespace.run(f"ip route add {route}")
    text = refused(namespace, wanted())
    assert route.split()[0] in text
    assert "by eth0" in text


@pytest.mark.parametrize(
    "route",
    [
        "default via 192.0.2.1",
        # A company's whole range, beside which the network is the narrower.
        "10.0.0.0/8 via 192.0.2.1",
        # The far end of a tunnel: nothing but itself is taken.
        "10.0.0.77/32 via 192.0.2.1",
        "blackhole 10.0.0.0/16",
        "10.0.0.0/24 dev eth0 table 77",
        "10.0.1.0/24 dev eth0",
    ],
)
def test_what_is_no_conflict(namespace, route):
    card(namespace, "eth0", "192.0.2.5/24")
    namespace.run(f"ip route add {route}")
    reach(namespace, wanted(InUse("192.0.2.9", "the broker")))


@pytest.mark.parametrize(
    "command",
    [
        "ip route add 10.0.0.2/32 via 192.0.2.1",
        "ip addr add 198.51.100.1 peer 10.0.0.2 dev eth0",
    ],
)
def test_a_single_address_that_is_the_bridges_own(namespace, command):
    card(namespace, "eth0", "192.0.2.5/24")
    namespace.run(command)
    changes = apply(namespace, wanted())
    (only,) = changes.failures
    assert "its address 10.0.0.2 is not taken" in only.message
    assert "10.0.0.2/32" in only.message
    assert "by eth0" in only.message
    # So that the next one is.
    (taken,) = changes.taken
    assert (taken.address, taken.answered) == ("10.0.0.2", False)
    reach(namespace, wanted(address="10.0.0.3/24"))


def test_a_broker_beyond_a_router_but_in_the_range(namespace):
    card(namespace, "eth0", "192.0.2.5/24")
    namespace.run("ip route add default via 192.0.2.1")
    assert "by eth0" in refused(namespace, wanted(BROKER))


def test_an_admins_bridge_may_be_the_lan(namespace):
    """The flat network is the LAN then, and the host is on it by br100."""
    namespace.run("ip link add br100 type bridge")
    namespace.run("ip link set br100 up")
    card(namespace, "eth0")
    namespace.run("ip link set eth0 master br100")
    namespace.run("ip addr add 10.0.0.5/24 dev br100")
    namespace.run("ip route add default via 10.0.0.1")
    reach(namespace, wanted(BROKER, ROUTER, MY_IP))
    assert addresses(namespace, "br100") == ["10.0.0.5/24", "10.0.0.2/24"]
    # An address of theirs is set aside all the same.
    other = wanted(BROKER, ROUTER, address="10.0.0.9/24")
    changes = apply(namespace, other)
    (taken,) = changes.taken
    assert (taken.address, taken.answered) == ("10.0.0.9", False)
    assert "the broker" in changes.failures[0].message
    assert addresses(namespace, "br100") == ["10.0.0.5/24"]


def test_a_network_without_an_address_takes_nothing(namespace):
    card(namespace, *LAN)
    reach(namespace, wanted(BROKER, address=None))


def test_an_address_that_stands_is_told_of_and_kept(namespace):
    """Guests have their gateway there."""
    reach(namespace, wanted())
    card(namespace, *LAN)
    for _ in range(2):
        changes = apply(namespace, wanted(BROKER))
        assert (changes.made, changes.failures) == ((), ())
        (line,) = changes.warnings
        assert "10.0.0.0/24 of br100 overlaps 10.0.0.5/24 of eth0" in line
    assert addresses(namespace, "br100") == ["10.0.0.2/24"]


def test_taking_back_the_very_address_of_the_broker(namespace):
    """Set by an earlier version; without a plan, for no row can be read."""
    reach(namespace, wanted(address="10.0.0.9/24"))
    namespace.run("ip addr add 10.0.0.10/24 dev br100")
    card(namespace, *LAN)
    changes = namespace.call(withdraw, (BROKER,))
    assert changes.made == (taken_back("10.0.0.9/24"),)
    assert addresses(namespace, "br100") == ["10.0.0.10/24"]
    assert addresses(namespace, "eth0") == ["10.0.0.5/24"]
    assert namespace.call(withdraw, (BROKER,)).made == ()


def test_taking_back_what_leads_the_host_astray(namespace):
    reach(namespace, wanted())
    card(namespace, *LAN)
    # It was there first, and so is asked first.
    assert "br100" in namespace.run("ip route get 10.0.0.9")
    changes = namespace.call(withdraw, (BROKER, MY_IP))
    assert changes.made == (taken_back("10.0.0.2/24"),)
    assert "eth0" in namespace.run("ip route get 10.0.0.9")


def test_what_does_no_harm_is_not_taken_back(namespace):
    """The broker may be on the flat network, and my_ip the bridge's own."""
    reach(namespace, wanted())
    own = InUse("10.0.0.2", "my_ip", is_own=True)
    assert namespace.call(withdraw, (BROKER, own)).made == ()
    assert addresses(namespace, "br100") == ["10.0.0.2/24"]


def test_what_is_an_admins_is_not_taken_back(namespace):
    card(namespace, *LAN)
    namespace.run("ip link add br100 up type bridge")
    namespace.run("ip addr add 10.0.0.9/24 dev br100")
    assert namespace.call(withdraw, (BROKER,)).made == ()
    assert addresses(namespace, "br100") == ["10.0.0.9/24"]


@pytest.mark.parametrize("address", ["10.0.0.5/24", "10.0.5.5/16"])
def test_the_guard_takes_nobody_there_for_a_forger(namespaces, address):
    """Else the host is cut off though no address was set."""
    host, far = namespaces(), namespaces()
    host.run("ip link add eth0 type veth peer name eth0 netns " + far.name)
    for space, ip in ((host, address), (far, "10.0.0.9/16")):
        space.run("ip link set eth0 up")
        space.run(f"ip addr add {ip} dev eth0")
    network = guarded_network(bridge="br100", address="10.0.0.2")

    def guarded():
        with Session() as session:
            apply_guard(
                session, Guarding(), guard(networks=(network,)), (BROKER,)
            )

    host.call(guarded)
    own = address.partition("/")[0]
    assert "1 received" in far.run(f"ping -c1 -W5 {own}")


def test_the_guard_takes_nobody_behind_a_router_for_a_forger(namespaces):
    """The network is refused for that route, and whoever is there stays."""
    host, far = namespaces(), namespaces()
    host.run("ip link add eth0 type veth peer name eth0 netns " + far.name)
    for space, ip in ((host, "192.0.2.5/24"), (far, "192.0.2.1/24")):
        space.run("ip link set eth0 up")
        space.run(f"ip addr add {ip} dev eth0")
    host.run("ip route add 10.0.0.128/25 via 192.0.2.1")
    far.run("ip addr add 10.0.0.200/32 dev eth0")
    network = guarded_network(bridge="br100", address="10.0.0.2")

    def guarded():
        with Session() as session:
            apply_guard(session, Guarding(), guard(networks=(network,)))

    host.call(guarded)
    said = far.run("ping -c1 -W5 -I 10.0.0.200 192.0.2.5")
    assert "1 received" in said


def test_what_is_foreseen_of_a_new_network(namespace):
    card(namespace, *LAN)

    def said(cidr, *in_use):
        return namespace.call(
            conflicts.foreseen, cidr, bridge="br100", in_use=in_use
        )

    assert said("10.1.0.0/24", BROKER) == ""
    assert "the broker of this host" in said("10.0.0.0/24", BROKER)
    assert "10.0.0.5/24 of eth0" in said("10.0.0.0/25")
    away = InUse("10.1.0.9", "the database")
    assert "10.1.0.9 (the database)" in said("10.1.0.0/24", away)


def test_a_device_with_an_address_of_it_is_told_from_others(namespace):
    around = ("192.0.2.7/24", "fd00::7/64", "10.0.1.7/24")
    for name, *having in (
        ("card0", "10.0.0.7/32", *around),
        ("card1", *around),
        ("br100", "10.0.0.1/24", "10.0.0.8/32"),
    ):
        namespace.run(f"ip link add {name} up type bridge")
        for each in having:
            namespace.run(f"ip addr add {each} dev {name}")
    wanted = guard(networks=(guarded_network(bridge="br100"),))
    for look in (strangers, _ways):
        found = namespace.call(look, wanted)
        assert found.carriers == {("10.0.0.0/24", "card0")}


def _ways(wanted):
    return Strangers(carriers=ways(wanted, (), DUMP))
