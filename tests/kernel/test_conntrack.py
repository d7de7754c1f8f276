"""What happens to connections that exist when rules change under them."""

import re

import pytest
from connections import (
    EVERYWHERE,
    FRIENDS,
    PATIENCE,
    SAME_BRIDGE,
    SERVED,
    SSH,
    UDP,
    WEB,
    apply,
    both_ways,
    made,
    net,
    stalls,
)
from segment import guest, link_local

from flatnet.state.rows import SecurityRule
from tests.effects import cut
from tests.sockets import receiver

__all__ = ("made", "net")


def test_a_connection_that_nothing_allows_stalls_and_others_go_on(net, made):
    apply(net, SSH, WEB)
    served, other = net.guests[SERVED], net.guests[SAME_BRIDGE]
    lost = [
        made.make(source, served, "10.0.0.2", 22)
        for source in (other, net.other, net.outside)
    ]
    kept = [made.make(other, served, "10.0.0.2", port) for port in (80, 81)]
    kept.append(made.make(served, net.outside, "192.0.2.9", 80))
    kept.append(made.make(served, net.other, "10.0.0.50", 22))
    assert all(map(both_ways, lost + kept))
    assert apply(net, WEB) == (cut(3),)
    assert all(map(stalls, lost))
    assert all(map(both_ways, kept))
    assert apply(net, WEB) == ()


def test_a_connection_that_another_rule_allows_goes_on(net, made):
    apply(net, SSH, FRIENDS, members=("10.0.0.3",))
    served = net.guests[SERVED]
    kept = made.make(net.guests[SAME_BRIDGE], served, "10.0.0.2", 22)
    lost = made.make(net.other, served, "10.0.0.2", 22)
    assert apply(net, FRIENDS, members=("10.0.0.3",)) != ()
    assert both_ways(kept)
    assert stalls(lost)


def test_a_member_that_leaves_a_source_group_is_cut(net, made):
    apply(net, FRIENDS, members=("10.0.0.3", "10.0.0.50"))
    served = net.guests[SERVED]
    kept = made.make(net.guests[SAME_BRIDGE], served, "10.0.0.2", 22)
    lost = made.make(net.other, served, "10.0.0.2", 22)
    assert apply(net, FRIENDS, members=("10.0.0.3",)) == (cut(1),)
    assert both_ways(kept)
    assert stalls(lost)


# Else nothing begins while the rules of iptables are away.
UNGUARDED = "nft flush chain inet flatnet unjudged"


@pytest.mark.parametrize(
    "hole", ["iptables -D FORWARD 1", "nft delete table ip filter"]
)
def test_who_connected_while_nothing_was_filtered_is_cut(net, made, hole):
    """Also where what was missing is only put back."""
    apply(net, SSH)
    net.node.run(hole)
    net.node.run(UNGUARDED)
    served = net.guests[SERVED]
    kept = made.make(net.guests[SAME_BRIDGE], served, "10.0.0.2", 22)
    lost = made.make(net.guests[SAME_BRIDGE], served, "10.0.0.2", 80)
    assert apply(net, SSH) == (cut(1),)
    assert both_ways(kept)
    assert stalls(lost)


def test_the_same_network_stays_open_where_the_flag_says_so(net, made):
    options = {"allow_same_net_traffic": True}
    apply(net, SSH, **options)
    served = net.guests[SERVED]
    kept = made.make(net.other, served, "10.0.0.2", 22)
    lost = made.make(net.outside, served, "10.0.0.2", 22)
    assert apply(net, WEB, **options) != ()
    assert both_ways(kept)
    assert stalls(lost)


def tracked(net, *words):
    lines = net.node.run("conntrack", "-L", *words, check=False)
    return [line for line in lines.splitlines() if "src=" in line]


def test_datagrams_and_pings_are_cut_as_well(net, made):
    apply(net, UDP, SecurityRule(5, "icmp", 8, 0, EVERYWHERE))
    other = net.guests[SAME_BRIDGE].namespace
    other.run("ping", "-c1", "-W2", "10.0.0.2")
    with (
        receiver(made.space(net.guests[SERVED]), 5000) as far,
        receiver(other.name, 5000) as near,
    ):
        near.sendto(b"x", ("10.0.0.2", 5000))
        assert far.recvfrom(10)[1] == ("10.0.0.3", 5000)
        assert tracked(net, "-p", "icmp")
        assert tracked(net, "-p", "udp", "--orig-dst", "10.0.0.2")
        assert apply(net) != ()
        assert not tracked(net, "-p", "icmp")
        assert not tracked(net, "-p", "udp", "--orig-dst", "10.0.0.2")
        near.sendto(b"x", ("10.0.0.2", 5000))
        far.settimeout(PATIENCE)
        with pytest.raises(TimeoutError):
            far.recv(10)


def test_a_port_that_others_attach_keeps_its_connections(net):
    some = {"numbers": (1, 9), "vif_plug": "external"}
    apply(net, WEB, **some)
    net.node.run(
        "conntrack -I -t 60 -s 10.0.0.10 -d 192.0.2.9 -p udp --sport 3 "
        "--dport 4"
    )
    assert apply(net, WEB, **some) == ()
    assert tracked(net, "-p", "udp", "--orig-src", "10.0.0.10")


def test_connections_of_any_protocol_are_cut(net, made):
    apply(net, SecurityRule(6, cidr=EVERYWHERE))
    ways = (
        "-s 10.0.0.3 -d 10.0.0.2 -p gre --srckey 3 --dstkey 4",
        "-s 10.0.0.3 -d 10.0.0.2 -p sctp --sport 3 --dport 4 "
        "--state ESTABLISHED --orig-vtag 1 --reply-vtag 2",
        "-s 10.0.0.3 -d 10.0.0.2 -p dccp --sport 3 --dport 4 "
        "--state OPEN --role client",
        "-s 10.0.0.3 -d 10.0.0.2 -p udplite --sport 3 --dport 4",
        "-s 10.0.0.3 -d 10.0.0.2 -p 50",
        "-s 2001:db8::3 -d fe80::f816:3eff:fe00:1 -p udp --sport 3 --dport 4",
        "-s 2001:db8::3 -d fe80::f816:3eff:fe00:1 -p icmpv6 "
        "--icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 7",
    )
    # Nothing is looked for of whom nobody ever sent anything.
    other = net.guests[SAME_BRIDGE].namespace
    for address in ("10.0.0.2", link_local(SERVED)):
        other.run("ping", "-c1", "-W1", address, check=False)
    for way in ways:
        net.node.run(f"conntrack -I -t 60 -u ASSURED {way}")

    def all_tracked():
        return [
            *tracked(net, "--orig-dst", "10.0.0.2"),
            *tracked(net, "-f", "ipv6"),
        ]

    assert len(all_tracked()) >= len(ways)
    apply(net)
    assert not all_tracked()


def test_an_address_given_out_again_inherits_no_connection(net, made):
    apply(net, SSH)
    served = net.guests[SERVED]
    made.make(net.other, served, "10.0.0.2", 22)
    made.make(served, net.outside, "192.0.2.9", 80)
    kept = made.make(net.other, net.guests[3], "10.0.0.4", 22)
    heirs = f"tap{guest(SERVED).uuid[:11]}"
    net.node.run("ip", "link", "set", heirs, "name", "gone")
    try:
        assert apply(net, SSH) != ()
    finally:
        net.node.run("ip", "link", "set", "gone", "name", heirs)
    left = [line for line in tracked(net) if "=10.0.0.2 " in line]
    assert not [line for line in left if re.search(r"dport=(22|80) ", line)]
    assert both_ways(kept)
