"""What rules of groups let in, as iptables says it; and odd rows."""

import pytest

from flatnet.state.rows import SecurityRule
from tests.builders import snapshot
from tests.unit.test_plan_isolation import EVERYWHERE, filters, grouped, guest


def rules_of(*wanted, family=4, members=()):
    """What the instance's group lets in, the sets, and the warnings."""
    rows, _ = grouped(*wanted, members=members)
    chains, sets, warnings = filters(
        rows, family, allow_same_net_traffic=False
    )
    mine = {n: m for n, m in sets.items() if n.startswith("flatnet-g")}
    return chains.get("flatnet-g-1", []), mine, warnings


@pytest.mark.parametrize(
    ("rule", "family", "expected"),
    [
        ((None, None, None, EVERYWHERE), 4, "-j ACCEPT"),
        ((None, -1, -1, EVERYWHERE), 4, "-j ACCEPT"),
        (("TCP", 0, 65535, EVERYWHERE), 4, "-p tcp -m tcp -j ACCEPT"),
        (("udp", None, None, "10.0.0.7/24"), 4, "-s 10.0.0.0/24 -p udp"),
        (("17", 0, 0, "10.9.8.7"), 4, "-s 10.9.8.7/32 -p udp -m udp --dport"),
        (("132", None, None, EVERYWHERE), 4, "-p sctp -j ACCEPT"),
        (("GRE", -1, -1, EVERYWHERE), 4, "-p 47 -j ACCEPT"),
        (("ah", None, None, EVERYWHERE), 4, "-p ah -j ACCEPT"),
        (("sctp", 7, 9, "::/0"), 6, "-p sctp -m multiport --dports 7:9 -j "),
        (("icmp", None, None, EVERYWHERE), 4, "-p icmp -j ACCEPT"),
        (("icmp", 3, 4, EVERYWHERE), 4, "-p icmp -m icmp --icmp-type 3/4 "),
        (("icmp", 8, -1, "::/0"), 6, "-p ipv6-icmp -m icmp6 --icmpv6-type 8"),
        (
            ("58", -1, -1, "fe80::/10"),
            6,
            "-s fe80::/10 -p ipv6-icmp ",
        ),
        (("tcp", 1, 2, "2001:DB8::1"), 6, "-s 2001:db8::1/128 -p tcp -m tcp "),
    ],
)
def test_a_rule_as_a_match(rule, family, expected):
    found, _, warnings = rules_of(SecurityRule(1, *rule), family=family)
    assert warnings == ()
    assert len(found) == 1
    assert found[0].startswith(expected)
    other, _, _ = rules_of(SecurityRule(1, *rule), family=10 - family)
    assert other == []


def test_a_source_group_is_a_set():
    rule = SecurityRule(1, "tcp", 22, 22, group_id=7)
    members = (("10.0.0.9", "10.0.0.10", "10.0.0.9", "nonsense"),)
    found, sets, _ = rules_of(rule, members=((7, *members),))
    assert found == [
        "-p tcp -m set --match-set flatnet-g4-7 src -m tcp --dport 22 "
        "-j ACCEPT"
    ]
    assert sets == {"flatnet-g4-7": ["10.0.0.10", "10.0.0.9"]}


def test_an_ipv6_member_makes_an_ipv6_set():
    rule = SecurityRule(1, group_id=7)
    members = ((7, ("2001:db8::9",)),)
    found, sets, _ = rules_of(rule, family=6, members=members)
    assert found == ["-m set --match-set flatnet-g6-7 src -j ACCEPT"]
    assert sets == {"flatnet-g4-7": [], "flatnet-g6-7": ["2001:db8::9"]}


def test_a_group_may_name_itself():
    rule = SecurityRule(1, group_id=1)
    found, _, warnings = rules_of(rule, members=((1, ("10.0.0.2",)),))
    assert found == ["-m set --match-set flatnet-g4-1 src -j ACCEPT"]
    assert warnings == ()


@pytest.mark.parametrize(
    "rule",
    [
        (),
        ("tcp", 22, 22),
        ("tcp", 22, 22, EVERYWHERE, 7),
        ("tcp", 22, 21, EVERYWHERE),
        ("tcp", -1, -1, EVERYWHERE),
        ("tcp", 22, None, EVERYWHERE),
        ("tcp", None, 22, EVERYWHERE),
        ("tcp", 0, 65536, EVERYWHERE),
        ("tcp", "22", "22", EVERYWHERE),
        ("tcp", True, True, EVERYWHERE),
        (None, 22, 22, EVERYWHERE),
        ("gre", 22, 22, EVERYWHERE),
        ("ah", None, None, "::/0"),
        ("ip", None, None, EVERYWHERE),
        ("0", None, None, EVERYWHERE),
        ("256", None, None, EVERYWHERE),
        ("-1", None, None, EVERYWHERE),
        ("", None, None, EVERYWHERE),
        ("tcp\n-j ACCEPT", None, None, EVERYWHERE),
        ("sctp", 9, 7, EVERYWHERE),
        ("sctpx", None, None, EVERYWHERE),
        ("icmp", 255, -1, EVERYWHERE),
        ("icmp", -1, 0, EVERYWHERE),
        ("icmp", 8, 256, EVERYWHERE),
        ("icmpv6", -1, -1, EVERYWHERE),
        (None, None, None, ""),
        (None, None, None, "10.0.0.0/33"),
        (None, None, None, "10.0.0.0/0.0.0.255"),
        (None, None, None, "10.0.0.0/24 -j ACCEPT"),
        (None, None, None, "fe80::1%eth0"),
        (None, None, None, 167772160),
    ],
)
def test_a_rule_that_makes_no_sense_is_left_out_and_told(rule):
    for family in (4, 6):
        bad = SecurityRule(1, *rule)
        good = SecurityRule(2, "tcp", 1, 1, "::/0" if family == 6 else None)
        if family == 4:
            good = SecurityRule(2, "tcp", 1, 1, EVERYWHERE)
        found, _, warnings = rules_of(bad, good, family=family)
        assert found == ["-p tcp -m tcp --dport 1 -j ACCEPT"]
        (line,) = warnings
        assert line.startswith("security group rule 1 of group 1 is left out")
        assert guest(1).instance_uuid in line
        assert "\n" not in line


def test_nonsense_in_rows_opens_nothing():
    odd = guest(1, addresses=("10.0.0.2; DROP",), mac="not a mac")
    rows = snapshot(interfaces=(odd, guest(2)))
    for family in (4, 6):
        chains, _, warnings = filters(
            rows, family, allow_same_net_traffic=False
        )
        assert "DROP;" not in str(chains)
        assert len(warnings) == 2
        assert all(odd.instance_uuid in line for line in warnings)


def test_a_guest_with_the_mac_of_its_port_is_told_of():
    """As plain SQL may write it; a requested one is refused."""
    rows = snapshot(interfaces=(guest(1, mac="FE:16:3E:00:00:01"), guest(2)))
    _, _, (line,) = filters(rows)
    assert guest(1).instance_uuid in line
    assert "it hears no neighbour" in line


def test_a_thousand_rules_are_a_thousand_lines():
    wanted = tuple(
        SecurityRule(n, "tcp", n, n, EVERYWHERE) for n in range(1, 1001)
    )
    found, _, warnings = rules_of(*wanted)
    assert (len(found), warnings) == (1000, ())
