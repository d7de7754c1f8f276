"""Where the rules of iptables are away, nothing begins with a guest."""

import socket

import pytest
from arrivals import ALL, GUEST, GUEST6, arrived
from filtered import plan, rule
from segment import guest, segment

from flatnet.apply.filter import judged_mark

FLUSHES = {
    "iptables": ("iptables -F", "ip6tables -F"),
    "jumps": tuple(
        f"{command} -D {chain} 1"
        for command in ("iptables", "ip6tables")
        for chain in ("FORWARD", "OUTPUT")
    ),
    "tables": ("nft delete table ip filter", "nft delete table ip6 filter"),
    "members": (
        f"ipset del flatnet-filtered4 {GUEST}",
        f"ipset del flatnet-filtered6 {GUEST6}",
    ),
    "sets": ("ipset flush flatnet-filtered4", "ipset flush flatnet-filtered6"),
    # The last rule, that nothing lets in.
    "drop": (
        "iptables -D flatnet-local 7",
        "ip6tables -D flatnet-local 10",
    ),
    "chain": ("iptables -F flatnet-local", "ip6tables -F flatnet-local"),
    "bridge-nf": tuple(
        f"sysctl -qw net.bridge.bridge-nf-call-{tables}=0"
        for tables in ("iptables", "ip6tables")
    ),
    "accepts": tuple(
        f"{command} -I {chain} -j ACCEPT"
        for command in ("iptables", "ip6tables")
        for chain in ("FORWARD", "OUTPUT")
    ),
}
# What a bridge hands to nobody is judged by nobody; the rest goes on.
ROUTED = {"outside", "node"}
ADMINS = "iptables -I {} -m comment --comment admins -j ACCEPT"


@pytest.fixture
def net():
    with segment() as built:
        built.node.run("sysctl -qw net.ipv4.conf.default.rp_filter=0")
        yield built


@pytest.mark.parametrize("flushed", FLUSHES)
def test_nobody_gets_in_meanwhile(net, flushed):
    plan(net, (guest(1), guest(2)), allow_same_net_traffic=False)
    assert arrived(net) == set()
    for command in FLUSHES[flushed]:
        net.node.run(command)
    assert arrived(net) == set()


@pytest.mark.parametrize("flushed", ["iptables", "bridge-nf"])
def test_nor_do_those_whom_rules_let_in(net, flushed):
    grouped = (guest(1), guest(2, security_group_ids=(1,)))
    rules = (rule(1), rule(2, cidr="::/0"))
    plan(net, grouped, rules, allow_same_net_traffic=False)
    assert arrived(net) >= {"outside", "uplink", "node", "guest", "guest6"}
    for command in FLUSHES[flushed]:
        net.node.run(command)
    assert arrived(net) == (ROUTED if flushed == "bridge-nf" else set())


@pytest.mark.parametrize("flushed", ["iptables", "bridge-nf"])
def test_who_is_not_filtered_notices_nothing(net, flushed):
    plan(net, (guest(1), guest(2)))
    assert arrived(net) == ALL
    for command in FLUSHES[flushed]:
        net.node.run(command)
    assert arrived(net) == ALL


def test_what_stands_goes_on(net):
    grouped = (guest(1), guest(2, security_group_ids=(1,)))
    plan(net, grouped, (rule(1),), allow_same_net_traffic=False)
    speak = net.guests[1].namespace.call
    assert speak(asked, 7001)
    net.node.run("iptables -F")
    assert speak(asked, 7001)
    assert not speak(asked, 7002)


def asked(port):
    """Whether a guest answers a question from this port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("", port))
        own.settimeout(1)
        own.sendto(b"?", (GUEST, 5000))
        try:
            return bool(own.recv(100))
        except TimeoutError:
            return False


def test_rules_that_stand_above_by_order_of_the_admin(net):
    closed = {"allow_same_net_traffic": False, "iptables_top_regex": "admins"}
    plan(net, (guest(1), guest(2)), **closed)
    assert arrived(net) == set()
    for chain in ("FORWARD", "OUTPUT"):
        net.node.run(ADMINS.format(chain))
    assert arrived(net) == {"outside", "uplink", "node", "guest"}


def test_nobody_else_sees_the_mark(net):
    plan(
        net,
        (guest(1), guest(2, security_group_ids=(1,))),
        (rule(1), rule(2, cidr="::/0")),
        allow_same_net_traffic=False,
    )
    bit = judged_mark.BIT
    seen = f"-t mangle -A POSTROUTING -m mark --mark {bit}/{bit}"
    for command in ("iptables", "ip6tables"):
        net.node.run(f"{command} {seen} -j ACCEPT")
        net.node.run(f"{command} -t mangle -A POSTROUTING -o br100 -j ACCEPT")
    assert arrived(net)
    for command in ("iptables", "ip6tables"):
        shown = net.node.run(f"{command} -t mangle -nvxL POSTROUTING")
        marked, rest = (
            int(line.split()[0]) for line in shown.splitlines()[-2:]
        )
        assert (marked, rest > 0) == (0, True)
