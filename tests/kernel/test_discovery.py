"""IPv6 neighbours of isolated guests find each other, as by ARP."""

import pytest
from filtered import plan, rule
from frames import IP6, Machine, ether, icmp6, ip6
from kinds_nd import TARGET, message
from segment import guest, link_local, segment

ALL_NODES = ("ff02::1", "33:33:00:00:00:01")


@pytest.fixture(scope="module")
def net():
    with segment() as built:
        yield built


def isolated(net, *rules, member=1):
    guests = tuple(
        guest(n, security_group_ids=(1,) if n == member else ())
        for n in (1, 2, 3)
    )
    plan(net, guests, rules, allow_same_net_traffic=False)
    for each in net.guests.values():
        each.namespace.run("ip -6 neigh flush dev eth0")


def own(number):
    return link_local(number).partition("%")[0]


def test_who_is_in_no_group_reaches_whom_a_group_opens(net):
    """And goes on to: both ask again while they talk."""
    isolated(net, rule(1, "icmp", 128, -1, cidr="fe80::/10"))
    space = net.guests[2].namespace
    space.run(f"ping -6 -c3 -i0.3 -W5 {link_local(1)}")
    # As after some seconds of silence.
    for each in (net.guests[1], net.guests[2]):
        each.namespace.run("ip -6 neigh flush dev eth0")
    space.run(f"ping -6 -c1 -W5 {link_local(1)}")
    answers = net.guests[1].reaches(("icmp", link_local(2), 128))
    assert answers == {}


def test_an_advertisement_that_nobody_asked_for_comes_to_all(net):
    isolated(net, rule(1, "icmp", -1, -1, cidr="fe80::/10"))
    own_mac = guest(2).mac

    sender = Machine(own_mac, "10.0.0.3", own(2))
    frame = message(
        sender, (own(2), *ALL_NODES), 136, own(2), (TARGET, own_mac)
    )

    before = net.guests[1].namespace
    wrong = "dev eth0 lladdr 02:00:00:00:00:77 nud stale"
    before.run(f"ip -6 neigh replace {own(2)} {wrong}")
    net.guests[2].send(frame(b""))

    def learnt():
        (entry,) = before.json(f"ip -6 -j neigh show {own(2)} dev eth0")
        return entry["lladdr"]

    for _ in range(100):
        if learnt() == own_mac:
            break
        net.guests[2].namespace.run("ping -c1 -W1 10.0.0.1")
    assert learnt() == own_mac


def test_queries_of_the_segment_come_to_isolated_guests(net):
    """Without them bridges and switches forget who listens."""
    isolated(net)
    body = icmp6("fe80::99", "ff02::1", 130, b"\0" * 20 + b"marker:query;")
    frame = ether(
        ALL_NODES[1],
        "02:00:00:00:99:99",
        IP6,
        ip6("fe80::99", "ff02::1", 58, body),
    )
    net.other.send(frame)
    assert "query" in net.guests[1].wait_for("query")
    # A guest is no querier.
    forged = ether(
        ALL_NODES[1],
        guest(2).mac,
        IP6,
        ip6(
            own(2),
            "ff02::1",
            58,
            icmp6(own(2), "ff02::1", 130, b"\0" * 20 + b"marker:forged;"),
        ),
    )
    net.guests[2].send(forged)
    net.other.send(frame.replace(b"query", b"again"))
    assert "forged" not in net.guests[1].wait_for("again")
