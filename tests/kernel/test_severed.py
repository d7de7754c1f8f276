"""What was cut stays cut, and nothing else does."""

import pytest
from connections import (
    PATIENCE,
    SAME_BRIDGE,
    SERVED,
    SSH,
    apply,
    both_ways,
    made,
    net,
    stalls,
)
from segment import link_local

from flatnet.state.rows import SecurityRule
from tests.effects import cut
from tests.sockets import passes

__all__ = ("made", "net")


def test_no_setting_of_the_machine_is_touched(net, made):
    """Not the one that makes migrated connections die, either."""
    setting = "net.netfilter.nf_conntrack_tcp_loose"
    assert net.node.run(f"sysctl -n {setting}") == "1\n"
    apply(net, SSH)
    assert net.node.run(f"sysctl -n {setting}") == "1\n"


def test_what_was_cut_is_reset_at_the_guest(net, made):
    served = net.guests[SERVED]
    for source in (net.guests[SAME_BRIDGE], net.outside):
        apply(net, SSH)
        near, far = made.make(source, served, "10.0.0.2", 22)
        assert both_ways((near, far))
        assert apply(net) == (cut(1),)
        far.send(b"from the guest")
        far.settimeout(PATIENCE)
        with pytest.raises(ConnectionResetError):
            far.recv(10)
        assert stalled(near)
        # What begins anew is judged by the rules as ever.
        apply(net, SSH)
        again = made.make(source, served, "10.0.0.2", 22)
        assert both_ways(again)
        apply(net)


def stalled(near):
    near.settimeout(PATIENCE)
    try:
        return near.recv(10) == b""
    except TimeoutError:
        return True


def test_a_guest_that_arrives_brings_its_connections(net, made):
    """A host that never saw them begin takes them up where they are."""
    apply(net, SSH)
    served = net.guests[SERVED]
    ends = [
        made.make(served, net.outside, "192.0.2.9", 80),
        made.make(net.outside, served, "10.0.0.2", 22),
        made.make(net.guests[SAME_BRIDGE], served, "10.0.0.2", 22),
    ]
    assert all(map(both_ways, ends))
    net.node.run("conntrack -F")
    # The guest goes on first, as one does that has moved.
    assert passes(*ends[0])
    assert passes(*reversed(ends[1]))
    # Or whom a rule lets in.
    assert passes(*ends[2])
    assert all(map(both_ways, ends))


def test_a_drop_of_what_is_invalid_hurts_no_connection_of_before(net, made):
    """Somebody else's rule, and the host's own connection to a broker."""
    near, far = made.make(net.outside, net.other, "10.0.0.50", 80)
    net.node.run("iptables -I INPUT -m conntrack --ctstate INVALID -j DROP")
    net.node.run("iptables -I FORWARD -m conntrack --ctstate INVALID -j DROP")
    try:
        apply(net, SSH)
        net.node.run("conntrack -F")
        assert both_ways((near, far))
    finally:
        net.node.run(
            "iptables -D INPUT -m conntrack --ctstate INVALID -j DROP"
        )
        net.node.run(
            "iptables -D FORWARD -m conntrack --ctstate INVALID -j DROP"
        )


def test_what_was_cut_is_remembered_when_the_table_is_replaced(net, made):
    apply(net, SSH)
    ends = made.make(
        net.guests[SAME_BRIDGE], net.guests[SERVED], "10.0.0.2", 22
    )
    apply(net)
    listed = net.node.run("nft list set inet flatnet cut4")
    assert "10.0.0.2 . 22 . 10.0.0.3" in listed
    net.node.run("nft flush chain inet flatnet forward")
    apply(net)
    assert "10.0.0.2 . 22 . 10.0.0.3" in net.node.run(
        "nft list set inet flatnet cut4"
    )
    assert stalls(ends)


def test_what_was_cut_stays_so_in_ipv6(net, made):
    rule = SecurityRule(9, "tcp", 22, 22, "fe80::/10")
    apply(net, rule)
    served, source = net.guests[SERVED], net.guests[SAME_BRIDGE]
    address = link_local(SERVED)
    server = made.listens6(served, 22)
    near, far = made.connects6(source, address, server)
    assert both_ways((near, far))
    assert apply(net) == (cut(1),)
    assert "fe80::" in net.node.run("nft list set inet flatnet cut6")
    far.send(b"from the guest")
    far.settimeout(PATIENCE)
    with pytest.raises(ConnectionResetError):
        far.recv(10)
    assert stalled(near)


def test_what_was_cut_stays_so_behind_another_address(net, made):
    """What the guest sends bears its own, whatever it was called by."""
    net.node.run(
        "iptables -t nat -A PREROUTING -d 192.0.2.100 -j DNAT "
        "--to-destination 10.0.0.2"
    )
    net.node.run("ip addr add 192.0.2.100/32 dev ext0")
    try:
        apply(net, SSH)
        served = net.guests[SERVED]
        server = made.listens(served, 22)
        near, far = made.connects(net.outside, "192.0.2.100", 22, server)
        assert both_ways((near, far))
        assert apply(net) == (cut(1),)
        assert stalls((near, far))
    finally:
        net.node.run("iptables -t nat -F PREROUTING")
        net.node.run("ip addr del 192.0.2.100/32 dev ext0")
