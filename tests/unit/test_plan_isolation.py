"""What may reach an instance, as chains and sets."""

import pytest

from flatnet.apply.filter.iptables.rendering import rules
from flatnet.state.rows import SecurityGroup, SecurityRule
from tests.builders import interface, network, settings, snapshot
from tests.planned import filter_plan, host_plan, in_groups
from tests.sets import members as members_of

EVERYWHERE = "0.0.0.0/0"
COPY = "-m mark --mark 0x80000000/0x80000000"
LEADING = {
    "flatnet-tree": ["-m set --match-set flatnet-p4-6 dst -j flatnet-p-6"],
    "flatnet-p-6": ["-m set --match-set flatnet-p4-6b dst -j flatnet-p-6b"],
    "flatnet-p-6b": [
        "-m set --match-set flatnet-p4-6b86b273ff34 dst "
        "-j flatnet-p-6b86b273ff34"
    ],
    "flatnet-p-6b86b273ff34": ["-j flatnet-g-1"],
    "flatnet-groupcast": [
        "-m conntrack --ctstate INVALID -j DROP",
        "-j MARK --set-xmark 0x10000000/0x10000000",
        "-m mark --mark 0x40000000/0x40000000 -j ACCEPT",
        "-j flatnet-p-m",
        "-j MARK --set-xmark 0x0/0x10000000",
        "-j DROP",
    ],
    "flatnet-p-m": ["-m mark --mark 0x6000000/0xf000000 -j flatnet-p-m6"],
    "flatnet-p-m6": ["-m mark --mark 0x6b00000/0xff00000 -j flatnet-p-m6b"],
    "flatnet-p-m6b": [
        "-m mark --mark 0x6b86b27/0xfffffff -j flatnet-p-6b86b273ff34"
    ],
}


def guest(number, **fields):
    return interface(number, uuid=f"{number:08x}-0000", **fields)


def filters(rows, family=4, **options):
    """The chains of a filter table, and all sets, by name; the warnings."""
    wanted, warnings = filter_plan(rows, settings(**options))
    planned = rules(wanted)
    chains = {
        chain.name: list(chain.rules)
        for table in planned.tables
        for chain in table.chains
        if (table.family, table.name) == (family, "filter")
    }
    sets = {each.name: members_of(each) for each in planned.sets}
    return chains, sets, warnings


def grouped(*wanted, members=(), networks=(), **options):
    rows = snapshot(
        interfaces=(guest(1, security_group_ids=(1,)), guest(2)),
        security_groups=(SecurityGroup(1, "web", wanted),),
        members=in_groups(dict(members)),
        networks=networks or (network(),),
    )
    return rows, options


def test_all_chains_of_a_closed_host():
    rows, _ = grouped(
        SecurityRule(1, "tcp", 22, 22, EVERYWHERE),
        networks=(network(cidr_v6="2001:db8::/64"),),
    )
    chains, _, _ = filters(rows, allow_same_net_traffic=False, dhcp=False)
    assert chains == {
        "flatnet-FORWARD": [
            "-o br100 -j flatnet-local",
            "-i br100 -o br100 -j ACCEPT",
        ],
        "flatnet-OUTPUT": [
            "-o br100 -p udp -m udp --sport 67 --dport 68 "
            "-j MARK --set-xmark 0x10000000/0x10000000",
            "-o br100 -j flatnet-local",
        ],
        "flatnet-local": [
            f"-d 224.0.0.0/4 {COPY} -j flatnet-groupcast",
            f"-d 10.0.0.255/32 {COPY} -j flatnet-groupcast",
            f"-d 255.255.255.255/32 {COPY} -j flatnet-groupcast",
            "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "-m set --match-set flatnet-filtered4 dst "
            "-j MARK --set-xmark 0x10000000/0x10000000",
            "-m set ! --match-set flatnet-filtered4 dst "
            "-m set --match-set flatnet-every4 dst -j RETURN",
            "-m conntrack --ctstate INVALID -j DROP",
            "-j flatnet-tree",
            "-j MARK --set-xmark 0x0/0x10000000",
            "-j DROP",
        ],
        "flatnet-g-1": ["-p tcp -m tcp --dport 22 -j ACCEPT"],
        **LEADING,
    }


def test_all_sets_of_a_closed_host():
    rows, _ = grouped(
        SecurityRule(1, "tcp", 22, 22, EVERYWHERE),
        networks=(network(cidr_v6="2001:db8::/64"),),
    )
    _, sets, _ = filters(rows, allow_same_net_traffic=False)
    eui64 = "f816:3eff:fe00"
    assert sets == {
        "flatnet-every4": ["0.0.0.0/1", "128.0.0.0/1"],
        "flatnet-every6": ["8000::/1", "::/1"],
        "flatnet-filtered4": ["10.0.0.2", "10.0.0.3"],
        "flatnet-p4-6": ["10.0.0.2"],
        "flatnet-p4-6b": ["10.0.0.2"],
        "flatnet-p4-6b86b273ff34": ["10.0.0.2"],
        "flatnet-filtered6": [
            f"2001:db8::{eui64}:1",
            f"2001:db8::{eui64}:2",
            f"fe80::{eui64}:1",
            f"fe80::{eui64}:2",
        ],
    }


def test_a_profile_has_its_place_whoever_else_is_there():
    def names(*profiles):
        rows = snapshot(
            interfaces=tuple(
                guest(number, security_group_ids=groups)
                for number, groups in enumerate(profiles, start=1)
            ),
            security_groups=tuple(
                SecurityGroup(
                    each, "x", (SecurityRule(1, "tcp", 1, 1, EVERYWHERE),)
                )
                for each in range(1, 60)
            ),
        )
        chains, sets, _ = filters(rows)
        return {
            name: chain
            for name, chain in chains.items()
            if name.startswith("flatnet-p-") and len(name) > 12
        }, sets

    many = [(each, each + 1) for each in range(1, 50)]
    few, _ = names((2, 1))
    all_chains, sets = names(*many)
    assert few.items() <= all_chains.items()
    (chain,) = few.values()
    assert chain == ["-j flatnet-g-1", "-j flatnet-g-2"]
    # What a node holds, the nodes below it hold together.
    tops = {name for name in sets if len(name) == len("flatnet-p4-x")}
    for top in tops:
        below = [m for n, m in sets.items() if n.startswith(top) and n != top]
        assert set(sets[top]) == {each for mine in below for each in mine}


def test_what_two_claim_for_different_groups_lets_in_nothing():
    both = (
        guest(1, security_group_ids=(1,)),
        guest(2, security_group_ids=(2,), addresses=("10.0.0.2",)),
    )
    rows = snapshot(
        interfaces=both,
        security_groups=tuple(
            SecurityGroup(
                each, "x", (SecurityRule(1, "tcp", 1, 1, EVERYWHERE),)
            )
            for each in (1, 2)
        ),
    )
    _, sets, _ = filters(rows)
    assert sets["flatnet-filtered4"] == ["10.0.0.2"]
    assert not any(name.startswith("flatnet-p4") for name in sets)


@pytest.mark.parametrize("same_net", [True, False])
def test_a_dangling_group_id_keeps_a_guest_closed(same_net):
    """A membership whose group's row is gone."""
    rows = snapshot(
        interfaces=(
            guest(1, security_group_ids=(7,)),
            guest(2, security_group_ids=(1, 7)),
        ),
        security_groups=(
            SecurityGroup(
                1, "web", (SecurityRule(1, "tcp", 22, 22, EVERYWHERE),)
            ),
        ),
    )
    options = {"allow_same_net_traffic": same_net}
    chains, sets, _ = filters(rows, **options)
    assert sets["flatnet-filtered4"] == ["10.0.0.2", "10.0.0.3"]
    # No path leads to the first, and to the second that of the one group.
    led = {tuple(m) for n, m in sets.items() if n.startswith("flatnet-p4-")}
    assert led == {("10.0.0.3",)}
    assert not any(name.startswith("flatnet-g-7") for name in chains)
    assert chains["flatnet-local"][-1] == "-j DROP"
    guarded = host_plan(rows, settings(**options)).guard.ports
    assert [port.filtered for port in guarded] == [True, True]


def test_the_dhcp_server_of_the_host_is_let_out():
    rows = snapshot(interfaces=(guest(1),))
    chains, _, _ = filters(rows, allow_same_net_traffic=False)
    output = chains["flatnet-OUTPUT"]
    # The guard drops what nobody has marked.
    assert output[:2] == [
        "-o br100 -p udp -m udp --sport 67 --dport 68 "
        "-j MARK --set-xmark 0x10000000/0x10000000",
        "-s 10.0.0.1/32 -o br100 -p udp -m udp --sport 67 --dport 68 "
        "-j ACCEPT",
    ]
    # A name server may be a guest: what is forwarded comes after its filter.
    filtered = output.index("-o br100 -j flatnet-local")
    assert [rule for rule in output if "--dport 53" in rule] == (
        output[filtered + 1 :]
    )


def test_open_to_the_network_groups_judge_the_rest():
    rule = SecurityRule(1, "tcp", 22, 22, EVERYWHERE)
    rows, _ = grouped(rule)
    chains, sets, _ = filters(rows)
    assert chains["flatnet-local"][3:5] == [
        "-m conntrack --ctstate INVALID -j DROP",
        "-s 10.0.0.0/24 -o br100 -j ACCEPT",
    ]
    assert chains["flatnet-g-1"] == ["-p tcp -m tcp --dport 22 -j ACCEPT"]
    assert sets["flatnet-filtered4"] == ["10.0.0.2"]


def test_ipv6_of_a_closed_host():
    rule = SecurityRule(1, "icmp", 128, -1, "2001:db8::/32")
    rows, _ = grouped(rule, networks=(network(cidr_v6="2001:db8::/64"),))
    chains, sets, _ = filters(rows, 6, allow_same_net_traffic=False)
    assert chains["flatnet-FORWARD"] == [
        "-o br100 -j flatnet-local",
        "-o br100 -m physdev --physdev-is-bridged -j ACCEPT",
        "-o br100 -j DROP",
        "-i br100 -o br100 -j ACCEPT",
    ]
    assert chains["flatnet-local"][:8] == [
        f"-d ff00::/8 {COPY} -j flatnet-groupcast",
        "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-m set --match-set flatnet-filtered6 dst "
        "-j MARK --set-xmark 0x10000000/0x10000000",
        "-p ipv6-icmp -m icmp6 --icmpv6-type 130 -j ACCEPT",
        "-p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT",
        "-p ipv6-icmp -m icmp6 --icmpv6-type 136 -j ACCEPT",
        "-m set ! --match-set flatnet-filtered6 dst "
        "-m set --match-set flatnet-every6 dst -j RETURN",
        "-m conntrack --ctstate INVALID -j DROP",
    ]
    assert chains["flatnet-g-1"] == [
        "-s 2001:db8::/32 -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j ACCEPT",
    ]
    eui64 = "f816:3eff:fe00"
    assert sets["flatnet-p6-6"] == [
        f"2001:db8::{eui64}:1",
        f"fe80::{eui64}:1",
    ]


def test_ipv6_of_the_same_network_passes_where_it_may():
    rows, _ = grouped(networks=(network(cidr_v6="2001:db8::/64"),))
    chains, sets, _ = filters(rows, 6)
    assert chains["flatnet-local"][5:] == [
        "-m set --match-set flatnet-open6 dst -j ACCEPT",
        "-m set ! --match-set flatnet-filtered6 dst "
        "-m set --match-set flatnet-every6 dst -j RETURN",
        "-m conntrack --ctstate INVALID -j DROP",
        "-s fe80::/10 -o br100 -j ACCEPT",
        "-s 2001:db8::/64 -o br100 -j ACCEPT",
        "-j flatnet-tree",
        "-j MARK --set-xmark 0x0/0x10000000",
        "-j DROP",
    ]
    assert chains["flatnet-FORWARD"][1:4] == [
        "-s ::/128 -o br100 -j ACCEPT",
        "-s fe80::/10 -o br100 -j ACCEPT",
        "-s 2001:db8::/64 -o br100 -j ACCEPT",
    ]
    assert "fe80::f816:3eff:fe00:2" in sets["flatnet-open6"]
