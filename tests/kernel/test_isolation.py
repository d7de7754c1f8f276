"""The contract's table of allow_same_net_traffic, shown with packets."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
from filtered import plan, rule
from frames import arp
from segment import (
    ethernet,
    guest,
    link_local,
    probe,
    segment,
    udp_frame,
)

from flatnet.apply.filter.iptables.firewall import apply_firewall
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.filtering import Filter
from flatnet.state.rows import SecurityRule

BROADCAST = "ff:ff:ff:ff:ff:ff"
COUNT = itertools.count(1)


@pytest.fixture(scope="module")
def net():
    with segment() as built:
        yield built


def sources(net):
    """Whoever may want to reach guest 1."""
    return {
        "same bridge": net.guests[2],
        "other host": net.other,
        "outside": net.outside,
    }


def everything(address):
    return (
        ("tcp", address, 22),
        ("tcp", address, 80),
        ("udp", address, 5000),
        ("icmp", address, 8),
    )


def reached(net, address="10.0.0.2"):
    """Which probes of guest 1 are answered, by who sends them."""
    spaces = {name: each.namespace for name, each in sources(net).items()}
    spaces["host"] = net.node
    # Together, because what is dropped shows only by waiting.
    with ThreadPoolExecutor(len(spaces)) as pool:
        answers = pool.map(
            lambda space: space.call(probe, everything(address)),
            spaces.values(),
        )
        return {
            name: {f"{protocol} {number}" for protocol, _, number in found}
            for name, found in zip(spaces, answers, strict=True)
        }


ALL = {"tcp 22", "tcp 80", "udp 5000", "icmp 8"}
NOTHING = {name: set() for name in ("same bridge", "other host", "outside")}
NAMES = (*NOTHING, "host")
SAME_NET = {"same bridge": ALL, "other host": ALL, "host": ALL}


@pytest.mark.parametrize("dhcp", [True, False])
def test_true_without_a_group_filters_nothing(net, dhcp):
    plan(net, (guest(1), guest(2)), dhcp=dhcp)
    assert reached(net) == {**SAME_NET, "outside": ALL}
    assert "flatnet-local" not in net.node.run("iptables-save")


@pytest.mark.parametrize("dhcp", [True, False])
def test_true_with_groups_asks_them_about_elsewhere(net, dhcp):
    guests = (guest(1, security_group_ids=(1,)), guest(2))
    plan(net, guests, [rule(1, "tcp", 22, 22)], dhcp=dhcp)
    assert reached(net) == {**SAME_NET, "outside": {"tcp 22"}}


@pytest.mark.parametrize("dhcp", [True, False])
@pytest.mark.parametrize("groups", [(), (1,)])
def test_false_lets_nothing_in_that_no_rule_names(net, groups, dhcp):
    guests = (guest(1, security_group_ids=groups), guest(2))
    plan(net, guests, allow_same_net_traffic=False, dhcp=dhcp)
    assert reached(net) == {**NOTHING, "host": set()}


@pytest.mark.parametrize("dhcp", [True, False])
def test_false_lets_in_what_a_rule_names(net, dhcp):
    guests = (guest(1, security_group_ids=(1,)), guest(2))
    rules = [rule(1, "tcp", 22, 22), rule(2, "udp", 4999, 5001)]
    plan(net, guests, rules, allow_same_net_traffic=False, dhcp=dhcp)
    named = frozenset({"tcp 22", "udp 5000"})
    assert reached(net) == dict.fromkeys(NAMES, named)


def only(net, *rules, members=()):
    guests = (guest(1, security_group_ids=(1,)), guest(2), guest(3))
    options = {"members": members, "allow_same_net_traffic": False}
    warnings = plan(net, guests, rules, **options)
    return reached(net), warnings


def test_a_cidr_lets_in_nobody_else(net):
    found, _ = only(net, rule(cidr="10.0.0.3/32"))
    assert found == {**NOTHING, "same bridge": ALL, "host": set()}
    found, _ = only(net, rule(cidr="192.0.2.0/24"))
    assert found == {**NOTHING, "outside": ALL, "host": set()}


def test_a_source_group_lets_in_its_members_as_they_change(net):
    def member(address):
        found, _ = only(net, rule(group_id=7), members=((7, (address,)),))
        return found

    assert member("10.0.0.50") == {**NOTHING, "other host": ALL, "host": set()}
    before = net.node.run("iptables -S")
    assert member("10.0.0.3") == {**NOTHING, "same bridge": ALL, "host": set()}
    assert net.node.run("iptables -S") == before
    plan(net, (guest(1), guest(2)))
    assert "flatnet-g4-7" not in net.node.run("ipset list -n")


@pytest.mark.parametrize(
    ("kind", "code", "passing"),
    [(8, 0, {8}), (13, -1, {13}), (-1, -1, {8, 13}), (8, 1, set())],
)
def test_icmp_type_and_code(net, kind, code, passing):
    guests = (guest(1, security_group_ids=(1,)), guest(2))
    rules = [rule(1, "icmp", kind, code)]
    plan(net, guests, rules, allow_same_net_traffic=False)
    probes = (("icmp", "10.0.0.2", 8), ("icmp", "10.0.0.2", 13))
    answers = net.guests[2].reaches(*probes)
    assert {number for _, _, number in answers} == passing


def test_any_protocol_by_number(net):
    found, _ = only(net, rule(1, "6"))
    assert found["same bridge"] == {"tcp 22", "tcp 80"}


def test_a_rule_that_makes_no_sense_lets_nothing_in(net):
    good = rule(9, "tcp", 22, 22)
    bad = [
        rule(1, "tcp", 100, 1),
        rule(2, "sctpx", 1, 2),
        rule(3, cidr="10.0.0.0/99"),
        rule(4, "tcp", 22, None),
        rule(5, "icmp", 255, -1),
        rule(6, "0"),
        rule(7, None, 22, 22),
        SecurityRule(8),
    ]
    found, warnings = only(net, good, *bad)
    assert found == dict.fromkeys(NAMES, frozenset({"tcp 22"}))
    assert len(warnings) == 8
    for number, line in zip(range(1, 9), warnings, strict=True):
        assert f"rule {number} of" in line
        assert guest(1).instance_uuid in line


def test_what_a_guest_began_is_answered(net):
    plan(net, (guest(1), guest(2)), allow_same_net_traffic=False)
    far = [("tcp", "192.0.2.9", 22), ("icmp", "192.0.2.9", 8)]
    across = [("tcp", "10.0.0.50", 22), ("udp", "10.0.0.50", 80)]
    answers = net.guests[1].reaches(*far, *across)
    assert set(answers) == {*far, *across}
    assert net.guests[1].reaches(("icmp", "10.0.0.1", 8))


def test_a_packet_routed_back_by_the_host_is_judged_too(net):
    plan(net, (guest(1), guest(2)), allow_same_net_traffic=False)
    sender = net.guests[2].namespace
    sender.run("ip route add 10.0.0.2/32 via 10.0.0.1")
    try:
        assert net.guests[2].reaches(*everything("10.0.0.2")) == {}
    finally:
        sender.run("ip route del 10.0.0.2/32")


def frames_to(net, number, *frames):
    """Whether each frame from guest 2, with its own marker, arrives.

    A last one, an honest ARP request, tells that all had their turn.
    """
    end = f"end{next(COUNT)}"
    mac = guest(2).mac
    asked = arp(1, mac, "10.0.0.3", asked="10.0.0.9")
    last = ethernet(
        0x0806, asked + f"marker:{end};".encode(), macs=(BROADCAST, mac)
    )
    net.guests[2].send(*frames, last)
    return net.guests[number].wait_for(end)


@pytest.mark.parametrize(
    ("there", "target", "arrives"),
    [
        (BROADCAST, "255.255.255.255", True),
        (BROADCAST, "10.0.0.255", True),
        (BROADCAST, "10.0.0.2", True),
        ("01:00:5e:00:00:fb", "224.0.0.251", True),
        # The bridge would deliver them to guest 1, whose they are not.
        (guest(1).mac, "8.8.8.8", False),
        (guest(1).mac, "10.0.0.50", False),
    ],
)
def test_no_frame_of_ip_gets_around_it(net, there, target, arrives):
    """`arrives` is what becomes of it where the network is open."""
    marker = f"m{next(COUNT)}"
    frame = udp_frame(
        "10.0.0.3", target, f"marker:{marker};", macs=(there, guest(2).mac)
    )
    plan(net, (guest(1), guest(2)), allow_same_net_traffic=False)
    assert marker not in frames_to(net, 1, frame)
    plan(net, (guest(1), guest(2)))
    assert (marker in frames_to(net, 1, frame)) == arrives


def v6(net, *rules, groups=(1,), **options):
    guests = (guest(1, security_group_ids=groups), guest(2), guest(3))
    plan(net, guests, rules, **options)
    for each in net.guests.values():
        each.namespace.run("ip -6 neigh flush dev eth0")
    answers = net.guests[2].reaches(
        ("tcp", link_local(1), 22), ("icmp", link_local(1), 128)
    )
    return {f"{protocol} {number}" for protocol, _, number in answers}


@pytest.mark.parametrize("dhcp", [True, False])
def test_ipv6_link_local_follows_the_table(net, dhcp):
    both = {"tcp 22", "icmp 128"}
    closed = {"allow_same_net_traffic": False, "dhcp": dhcp}
    assert v6(net, groups=(), dhcp=dhcp) == both
    assert v6(net, dhcp=dhcp) == both
    assert v6(net, groups=(), **closed) == set()
    assert v6(net, **closed) == set()
    assert v6(net, rule(cidr="2001:db8::/32"), **closed) == set()


def test_ipv6_needs_a_rule_on_both_sides_to_be_answered(net):
    rules = (rule(1, "icmp", 128, -1, cidr="fe80::/10"),)
    guests = tuple(guest(n, security_group_ids=(1,)) for n in (1, 2, 3))
    plan(net, guests, rules, allow_same_net_traffic=False)
    probes = (("tcp", link_local(1), 22), ("icmp", link_local(1), 128))
    answers = net.guests[2].reaches(*probes)
    assert set(answers) == {("icmp", link_local(1), 128)}


def test_nothing_of_the_rules_is_left_when_nothing_is_planned(net):
    plan(net, (guest(1), guest(2)), allow_same_net_traffic=False)
    changes = net.node.call(apply_firewall, Filter(), WorkerCache())
    assert changes.failures == ()
    assert "flatnet" not in net.node.run("iptables-save")
    assert "flatnet" not in net.node.run("ip6tables-save")


@pytest.mark.parametrize("same_net", [True, False])
def test_sets_that_somebody_empties_let_nobody_in(net, same_net):
    guests = (guest(1, security_group_ids=(1,)), guest(2))
    plan(
        net, guests, [rule(1, "tcp", 22, 22)], allow_same_net_traffic=same_net
    )
    wanted = reached(net)
    net.node.run("ipset flush")
    net.node.run("conntrack -F", check=False)
    found = reached(net)
    assert found["outside"] == set()
    assert all(found[name] <= wanted[name] for name in found)
    plan(
        net, guests, [rule(1, "tcp", 22, 22)], allow_same_net_traffic=same_net
    )
    assert reached(net) == wanted
