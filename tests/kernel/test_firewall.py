"""The laws of the firewall's applier, on a real kernel."""

import socket
import struct
import time

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from namespaces import fresh_namespace
from rules import (
    EMPTY,
    RULES,
    address,
    applied,
    planned,
    saved,
)

from flatnet.state.effects import Surface, Verb
from tests.effects import chain, ipset


def generation(namespace):
    """The number of changes to nftables so far, ours or not."""
    return namespace.call(_generation)


def _generation():
    """Ask the kernel: NFT_MSG_GETGEN, see linux/netfilter/nf_tables.h."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as link:
        head = struct.pack("=IHHII", 20, 10 << 8 | 16, 1, 1, 0)
        link.send(head + b"\0\0\0\0")
        answer = link.recv(8192)
    return struct.unpack_from(">I", answer, 24)[0]


@pytest.mark.parametrize("dhcp", [True, False])
def test_twice_is_once(namespace, dhcp):
    plan = planned(1, 2, 3, dhcp=dhcp)
    assert applied(namespace, plan)
    before = generation(namespace), saved(namespace)
    assert applied(namespace, plan) == ()
    assert (generation(namespace), saved(namespace)) == before


def test_only_what_differs_is_written(namespace):
    applied(namespace, planned(1, 2))
    fewer = {"rules": (RULES[0], RULES[3])}
    narrowed = planned(1, 2, **fewer)
    made = applied(namespace, narrowed)
    assert chain(Verb.WRITTEN, "flatnet-g-1") in made
    assert not [
        each
        for each in made
        if getattr(each.key, "chain", "") == "flatnet-local"
    ]
    assert ipset(Verb.REMOVED, "flatnet-g4-7") in made
    applied(namespace, planned(**fewer))
    assert "flatnet" not in namespace.run("ipset list -n")
    for family in ("ip", "ip6"):
        assert "flatnet-local" not in "".join(saved(namespace, family))


def test_who_comes_and_goes_touches_no_rule(namespace):
    """One's groups are known here; he is a member of sets and no more."""
    applied(namespace, planned(1))
    before = generation(namespace)
    made = applied(namespace, planned(1, 2))
    assert {each.surface for each in made} == {Surface.IPSET}
    assert {each.key.rpartition("-")[0] for each in made} == {
        "flatnet",
        "flatnet-p4",
        "flatnet-p6",
    }
    assert applied(namespace, planned(2))
    assert generation(namespace) == before
    members = namespace.run("ipset list flatnet-filtered4").split("Members:")
    assert members[1].split() == [address(2)]


def test_a_member_more_touches_no_rule(namespace):
    applied(namespace, planned(1))
    before = generation(namespace)
    made = applied(namespace, planned(1, members=("10.0.0.8", "10.0.0.9")))
    assert made == (ipset(Verb.WRITTEN, "flatnet-g4-7"),)
    assert generation(namespace) == before
    members = namespace.run("ipset list flatnet-g4-7").split("Members:")[1]
    assert set(members.split()) == {"10.0.0.8", "10.0.0.9"}


FOREIGN = """*filter
:INPUT ACCEPT [7:700]
:FORWARD DROP [1:1]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
[5:500] -A INPUT -i lo -m comment --comment "not \\"flatnet\\"" -j ACCEPT
[2:200] -A FORWARD -m comment --comment "keep: top" -j ACCEPT
[3:300] -A FORWARD -j DOCKER
[4:400] -A DOCKER -s 198.51.100.0/24 -p tcp -m multiport --dports 1,2 -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
[9:900] -A POSTROUTING -s 172.17.0.0/16 -o docker0 -j MASQUERADE
COMMIT
"""


def foreign(namespace):
    return [
        line
        for line in saved(namespace, counters=("-c",))
        if "flatnet-" not in line and not line.startswith("*mangle")
    ]


def test_foreign_rules_stay_byte_for_byte(namespace):
    namespace.run("iptables-restore", "-c", text=FOREIGN)
    before = [line for line in foreign(namespace) if line.startswith("[")]
    for plan in (planned(1, 2), planned(1), EMPTY):
        applied(namespace, plan, top_regex="keep: top")
        after = [line for line in foreign(namespace) if line.startswith("[")]
        assert after == before
    assert "flatnet" not in namespace.run("ipset list -n")


def test_the_jump_is_on_top_but_for_the_top_regex(namespace):
    namespace.run("iptables-restore", "-c", text=FOREIGN)

    def targets():
        rules = namespace.run("iptables -S FORWARD").splitlines()[1:]
        return [rule.split(" -j ")[1] for rule in rules]

    applied(namespace, planned(1), top_regex="keep: top")
    assert targets() == ["ACCEPT", "flatnet-FORWARD", "DOCKER"]
    applied(namespace, planned(1))
    assert targets() == ["flatnet-FORWARD", "ACCEPT", "DOCKER"]
    namespace.run("iptables -I FORWARD 1 -j DOCKER")
    applied(namespace, planned(1))
    assert targets() == ["flatnet-FORWARD", "DOCKER", "ACCEPT", "DOCKER"]


def test_the_jump_is_above_what_matches_the_bottom_regex(namespace):
    """Also where all foreign rules are to stay on top."""
    namespace.run("iptables -A FORWARD -i eth7 -j ACCEPT")
    namespace.run("iptables -A FORWARD -j REJECT")
    namespace.run("iptables -A FORWARD -i eth8 -j ACCEPT")

    def targets():
        rules = namespace.run("iptables -S FORWARD").splitlines()[1:]
        return [rule.split(" -j ")[1].split()[0] for rule in rules]

    both = {"top_regex": ".", "bottom_regex": "REJECT"}
    applied(namespace, planned(1), **both)
    placed = ["ACCEPT", "flatnet-FORWARD", "REJECT", "ACCEPT"]
    assert targets() == placed
    assert applied(namespace, planned(1), **both) == ()
    assert targets() == placed


def test_a_stale_chain_that_a_foreign_one_needs_is_emptied(namespace):
    applied(namespace, planned(1))
    namespace.run("iptables -N ADMIN")
    namespace.run("iptables -A ADMIN -j flatnet-local")
    for _ in range(2):
        made = applied(namespace, EMPTY)
        lines = namespace.run("iptables -S").splitlines()[3:]
        assert lines == [
            "-N ADMIN",
            "-N flatnet-local",
            "-A ADMIN -j flatnet-local",
        ]
    assert made == ()


CLOBBERS = (
    "iptables -F",
    "iptables -F flatnet-g-1",
    "iptables -D flatnet-g-1 1",
    "iptables -I flatnet-g-1 1 -j ACCEPT",
    "iptables -F flatnet-p-6",
    "iptables -A flatnet-local -j ACCEPT",
    "iptables -R flatnet-g-1 1 -j ACCEPT",
    "iptables -D FORWARD 1",
    "iptables -I FORWARD 1 -j flatnet-FORWARD",
    "iptables -A OUTPUT -j flatnet-local",
    "iptables -N flatnet-i-00000009-00",
    "iptables -N flatnet-g-9",
    "iptables -t nat -F",
    "iptables -t nat -I PREROUTING 1 -j flatnet-PREROUTING",
    "iptables -t mangle -N flatnet-old",
    "ip6tables -F",
    "ip6tables -t mangle -N flatnet-old",
    "nft flush ruleset",
    "nft delete table ip6 filter",
    "ipset add flatnet-g4-7 203.0.113.0/24",
    "ipset flush flatnet-g4-7",
    "ipset flush flatnet-filtered4",
    "ipset add flatnet-p6-6 2001:db8::1",
    "ipset flush",
    "ipset create flatnet-g4-99 hash:ip",
)


@pytest.fixture(scope="module")
def worn():
    """A namespace that is clobbered again and again."""
    with fresh_namespace() as namespace:
        yield namespace


def test_whatever_is_clobbered_is_repaired(worn):
    plan = planned(1, 2)
    applied(worn, plan)

    def shown():
        rules = filled(saved(worn)), filled(saved(worn, "ip6"))
        return rules, worn.run("ipset list -n")

    wanted = shown()
    for command in CLOBBERS:
        worn.run(command)
        assert applied(worn, plan), command
        assert shown() == wanted, command
        assert applied(worn, plan) == ()


def filled(text):
    """Without chains that are there but empty: reading creates some."""
    return [line for line in text if line.startswith("-")]


@bounded(
    max_examples=8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    commands=st.lists(st.sampled_from(CLOBBERS), max_size=5),
    numbers=st.sets(st.integers(1, 6), max_size=4),
    kept=st.integers(0, len(RULES)),
    dhcp=st.booleans(),
)
def test_from_anything_to_the_plan(worn, commands, numbers, kept, dhcp):
    for command in commands:
        worn.run(command, check=False)
    plan = planned(*sorted(numbers), rules=RULES[:kept], dhcp=dhcp)
    applied(worn, plan)
    with fresh_namespace() as clean:
        applied(clean, plan)
        for family in ("ip", "ip6"):
            wanted = filled(saved(clean, family))
            assert filled(saved(worn, family)) == wanted
    assert applied(worn, plan) == ()


def test_the_time_a_pass_takes(namespace, capsys):
    for count in (1, 100, 500):
        plan = planned(*range(1, count + 1))
        other = planned(*range(1, count + 1), rules=RULES[:3])
        fewer = planned(*range(1, count))
        took = []
        for each in (plan, plan, other, fewer, EMPTY):
            started = time.monotonic()
            applied(namespace, each)
            took.append(1000 * (time.monotonic() - started))
        names = ("load", "nothing", "rewrite all", "remove one", "clear")
        text = ", ".join(
            f"{name} {milliseconds:.0f} ms"
            for name, milliseconds in zip(names, took, strict=True)
        )
        with capsys.disabled():
            print(f"\n{count} instances: {text}", end="")
