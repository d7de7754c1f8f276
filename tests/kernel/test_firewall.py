"""The laws of the firewall's applier, and the gateway, on a real kernel."""

import re
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from namespaces import fresh_namespace
from segment import guest, segment

from flatnet.apply.firewall import apply_firewall
from flatnet.plan.firewall import tables
from flatnet.state import (
    AddressSet,
    Chain,
    Jump,
    SecurityGroup,
    SecurityRule,
    Table,
)
from tests.builders import settings, snapshot

RULES = (
    SecurityRule(1, "tcp", 22, 22, "0.0.0.0/0"),
    SecurityRule(2, "icmp", 8, 0, "0.0.0.0/0"),
    SecurityRule(3, "udp", 53, 60, None, 7),
    SecurityRule(4, "tcp", 80, 80, "2001:db8::/32"),
)


def planned(*numbers, rules=RULES, members=("10.0.0.9",), **options):
    """Tables and sets of a host with these guests, all in group 1."""
    rows = snapshot(
        interfaces=tuple(
            guest(
                number, security_group_ids=(1,), addresses=(address(number),)
            )
            for number in numbers
        ),
        security_groups=(SecurityGroup(1, "web", rules),),
        group_members=((7, members),),
    )
    options = {
        "allow_same_net_traffic": False,
        "routing_source_ip": "192.0.2.1",
        "public_interface": "ext0",
        **options,
    }
    return tables(rows, settings(**options))[:2]


def address(number):
    return f"10.0.{number // 250}.{number % 250 + 2}"


def generation(namespace):
    """The number of changes to nftables so far, ours or not."""
    return namespace.call(_generation)


def _generation():
    """Ask the kernel: NFT_MSG_GETGEN, see linux/netfilter/nf_tables.h."""
    import socket
    import struct

    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as link:
        head = struct.pack("=IHHII", 20, 10 << 8 | 16, 1, 1, 0)
        link.send(head + b"\0\0\0\0")
        answer = link.recv(8192)
    return struct.unpack_from(">I", answer, 24)[0]


def applied(namespace, plan, **options):
    """Apply a plan, which must succeed; return what was done."""
    changes = namespace.call(apply_firewall, *plan, **options)
    assert changes.failures == ()
    return changes.made


def saved(namespace, family="ip", counters=()):
    text = namespace.run(f"{family}tables-save", *counters)
    return [line for line in text.splitlines() if not line.startswith("#")]


def mentions(made, word):
    return [line for line in made if word in line]


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
    assert mentions(made, "chain flatnet-i-00000001")
    assert not mentions(made, "flatnet-local")
    assert mentions(made, "removed set flatnet-g4-7")
    assert applied(namespace, planned(2, **fewer))
    assert "flatnet-i-00000001" not in "".join(saved(namespace))
    assert "flatnet-i-00000001" not in "".join(saved(namespace, "ip6"))


def test_a_member_more_touches_no_rule(namespace):
    applied(namespace, planned(1))
    before = generation(namespace)
    made = applied(namespace, planned(1, members=("10.0.0.8", "10.0.0.9")))
    assert made == ("ipset: wrote set flatnet-g4-7",)
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
    for plan in (planned(1, 2), planned(1), ((), ())):
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


def test_a_stale_chain_that_a_foreign_one_needs_is_emptied(namespace):
    applied(namespace, planned(1))
    namespace.run("iptables -N ADMIN")
    namespace.run("iptables -A ADMIN -j flatnet-local")
    for _ in range(2):
        made = applied(namespace, ((), ()))
        lines = namespace.run("iptables -S").splitlines()[3:]
        assert lines == [
            "-N ADMIN",
            "-N flatnet-local",
            "-A ADMIN -j flatnet-local",
        ]
    assert made == ()


CLOBBERS = (
    "iptables -F",
    "iptables -F flatnet-i-00000001-00",
    "iptables -D flatnet-i-00000001-00 1",
    "iptables -I flatnet-i-00000001-00 1 -j ACCEPT",
    "iptables -A flatnet-local -j ACCEPT",
    "iptables -R flatnet-i-00000001-00 1 -j ACCEPT",
    "iptables -D FORWARD 1",
    "iptables -I FORWARD 1 -j flatnet-FORWARD",
    "iptables -A OUTPUT -j flatnet-local",
    "iptables -N flatnet-i-00000009-00",
    "iptables -t nat -F",
    "iptables -t nat -I PREROUTING 1 -j flatnet-PREROUTING",
    "iptables -t mangle -N flatnet-old",
    "ip6tables -F",
    "ip6tables -t mangle -N flatnet-old",
    "nft flush ruleset",
    "nft delete table ip6 filter",
    "ipset add flatnet-g4-7 203.0.113.0/24",
    "ipset flush flatnet-g4-7",
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


def test_a_bad_chain_shuts_its_instance_and_no_other(namespace):
    good, sets = planned(1, 2, 3)
    name = "flatnet-i-00000002-00"

    def spoilt(chain):
        rule = "-p tcp -m tcp --dport 70000 -j ACCEPT"
        if chain.name == name:
            return replace(chain, rules=(rule, *chain.rules))
        return chain

    bad = tuple(
        replace(table, chains=tuple(map(spoilt, table.chains)))
        if table.family == 4
        else table
        for table in good
    )
    for _ in range(2):
        changes = namespace.call(apply_firewall, bad, sets)
        (failure,) = changes.failures
        assert failure.subject == f"firewall chain {name}"
        assert "70000" in failure.message
        assert failure.instances == (guest(2).instance_uuid,)
        chain = namespace.run(f"iptables -S {name}").splitlines()[1:]
        assert [rule.split(" -j ")[1] for rule in chain] == ["DROP"]
        assert len(namespace.run("iptables -S").splitlines()) > 20
    assert changes.made == ()
    assert mentions(applied(namespace, (good, sets)), name)


@pytest.mark.parametrize(
    "rule",
    [
        "-j ACCEPT\n-A INPUT -j ACCEPT",
        '-m comment --comment "x" -j ACCEPT',
        "-j ACCEPT --modprobe=/bin/true",
        "-M /bin/true -j ACCEPT",
        "-t nat -j ACCEPT",
        "-j ACCEPT -X flatnet-local",
        "-j  ACCEPT",
        "-j ACC\\EPT",
        "",
    ],
)
def test_a_rule_with_anything_odd_is_not_passed_on(namespace, rule):
    chain = Chain("flatnet-i-x", (rule,), "uuid")
    jump = Jump("FORWARD", "flatnet-i-x")
    table = Table(4, "filter", (chain,), (jump,))
    changes = namespace.call(apply_firewall, (table,), ())
    assert [f.instances for f in changes.failures] == [("uuid",)]
    lines = namespace.run("iptables -S flatnet-i-x").splitlines()
    assert [line.split(" -j ")[1:] for line in lines] == [[], ["DROP"]]


@pytest.mark.parametrize(
    "table",
    [
        Table(4, "filter", (Chain("INPUT", ("-j DROP",)),)),
        Table(4, "filter", (), (Jump("INPUT", "DOCKER"),)),
        Table(4, "filter", (), (Jump("mine", "flatnet-x"),)),
        Table(4, "raw", (Chain("flatnet-x"),), (Jump("OUTPUT", "flatnet-x"),)),
    ],
)
def test_what_is_not_ours_is_refused(namespace, table):
    before = saved(namespace)
    changes = namespace.call(apply_firewall, (table,), ())
    assert changes.failures
    assert saved(namespace) == before


def test_a_set_of_another_type_is_reported(namespace):
    namespace.run("ipset create flatnet-g4-7 hash:ip")
    changes = namespace.call(apply_firewall, *planned(1))
    failure = changes.failures[0]
    assert failure.subject == "ipset flatnet-g4-7"
    assert failure.instances == (guest(1).instance_uuid,)


def test_members_are_addresses_or_nothing(namespace):
    odd = AddressSet("flatnet-g4-1", 4, ("1.2.3.4 timeout 1",))
    changes = namespace.call(apply_firewall, (), (odd,))
    assert "1.2.3.4 timeout 1" in changes.failures[0].message
    assert namespace.run("ipset list -n") == ""


def test_leftovers_in_the_other_backend_are_told(namespace):
    namespace.run("iptables-legacy -N flatnet-local")
    changes = namespace.call(apply_firewall, *planned(1))
    assert "iptables-legacy" in changes.failures[0].message


def test_without_iptables_one_line_says_so(namespace, monkeypatch):
    monkeypatch.setattr("flatnet.apply.command._PATH", "/nonexistent")
    changes = namespace.call(apply_firewall, *planned(1))
    messages = {failure.message for failure in changes.failures}
    assert "iptables is not installed: apt-get install iptables" in messages
    assert "ipset is not installed: apt-get install ipset" in messages
    assert namespace.call(apply_firewall, (), ()).failures == ()


def test_the_time_a_pass_takes(namespace, capsys):
    for count in (1, 100, 500):
        plan = planned(*range(1, count + 1))
        other = planned(*range(1, count + 1), rules=RULES[:3])
        fewer = planned(*range(1, count))
        took = []
        for each in (plan, plan, other, fewer, ((), ())):
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


@pytest.fixture(scope="module")
def net():
    with segment() as built:
        yield built


def gateway(net, **options):
    rows = snapshot(interfaces=(guest(1), guest(2)))
    options = {"public_interface": "ext0", **options}
    plan = tables(rows, settings(**options))[:2]
    applied(net.node, plan)
    net.node.run("conntrack -F", check=False)


def test_counters_of_an_unchanged_chain_survive(net):
    chain = "flatnet-i-00000002-00"

    def rules():
        lines = saved(net.node, counters=("-c",))
        return [line for line in lines if f"-A {chain}" in line]

    applied(net.node, planned(1, 2))
    net.outside.reaches(("udp", "10.0.0.3", 80), ("udp", "10.0.0.3", 80))
    before = rules()
    assert re.match(r"\[[1-9]", before[-1])
    made = applied(net.node, planned(1, 2, 3))
    assert mentions(made, "flatnet-i-00000003")
    assert mentions(made, "chain flatnet-d-0a00000")
    assert rules() == before


def test_outside_sees_the_hosts_address_and_inside_the_guests(net):
    gateway(net, routing_source_ip="192.0.2.1")
    targets = (
        ("udp", "192.0.2.9", 80),
        ("udp", "10.0.0.3", 80),
        ("udp", "10.0.0.50", 80),
    )
    assert net.guests[1].reaches(*targets) == {
        targets[0]: "192.0.2.1",
        targets[1]: "10.0.0.2",
        targets[2]: "10.0.0.2",
    }


def test_no_source_nat_to_the_dmz_or_without_an_address(net):
    target = ("udp", "192.0.2.9", 80)
    gateway(net, routing_source_ip="192.0.2.1", dmz_cidr=("192.0.2.8/29",))
    assert net.guests[1].reaches(target) == {target: "10.0.0.2"}
    gateway(net, routing_source_ip="")
    assert net.guests[1].reaches(target) == {target: "10.0.0.2"}


def test_the_metadata_service_sees_the_guests_address(net):
    options = {"metadata_host": "192.0.2.9", "metadata_port": 5000}
    gateway(net, routing_source_ip="192.0.2.1", **options)
    before = saved(net.node, counters=("-c",))
    target = ("tcp", "169.254.169.254", 80)
    assert net.guests[1].reaches(target) == {target: "open"}
    after = saved(net.node, counters=("-c",))
    assert before != after
    sockets = net.outside.namespace.run("ss -tnH state all sport = :5000")
    assert "10.0.0.2" in sockets


def test_only_the_devices_of_forward_bridge_interface(net):
    far, near = ("tcp", "192.0.2.9", 80), ("tcp", "10.0.0.3", 80)
    gateway(net, forward_bridge_interface=("eth9",))
    assert set(net.guests[1].reaches(far, near)) == {near}
    gateway(net, forward_bridge_interface=("ext0",))
    assert set(net.guests[1].reaches(far, near)) == {far, near}


def test_a_forward_policy_of_others_does_not_cut_guests(net):
    near, uplink = ("tcp", "10.0.0.3", 80), ("tcp", "10.0.0.50", 80)
    for name in ("iptables", "ip6tables"):
        net.node.run(f"{name} -P FORWARD DROP")
    try:
        for dhcp in (True, False):
            gateway(net, dhcp=dhcp)
            found = net.guests[1].reaches(near, uplink)
            assert set(found) == {near, uplink}
    finally:
        for name in ("iptables", "ip6tables"):
            net.node.run(f"{name} -P FORWARD ACCEPT")
