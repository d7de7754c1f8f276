"""The node as a gateway, with packets, and counters that live on."""

import re

import pytest
from rules import applied, planned, saved
from segment import guest, segment

from flatnet.state.effects import Verb
from tests.builders import network, settings, snapshot
from tests.effects import ipset
from tests.planned import filter_plan


@pytest.fixture(scope="module")
def net():
    with segment() as built:
        yield built


def gateway(net, row=None, **options):
    networks = (row or network(),)
    rows = snapshot(networks=networks, interfaces=(guest(1), guest(2)))
    options = {"public_interface": "ext0", **options}
    planned, _ = filter_plan(rows, settings(**options))
    applied(net.node, planned)
    net.node.run("conntrack -F", check=False)


def test_counters_of_an_unchanged_chain_survive(net):
    chain = "flatnet-local"

    def rules():
        lines = saved(net.node, counters=("-c",))
        return [line for line in lines if f"-A {chain}" in line]

    applied(net.node, planned(1, 2))
    net.outside.reaches(("udp", "10.0.0.3", 80), ("udp", "10.0.0.3", 80))
    before = rules()
    assert re.match(r"\[[1-9]", before[-1])
    made = applied(net.node, planned(1, 2, 3))
    assert ipset(Verb.WRITTEN, "flatnet-filtered4") in made
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


def test_source_nat_is_for_what_leaves_by_the_public_interface(net):
    target = ("udp", "192.0.2.9", 80)
    options = {"routing_source_ip": "192.0.2.1", "public_interface": "ext9"}
    gateway(net, **options)
    assert net.guests[1].reaches(target) == {target: "10.0.0.2"}


def test_beside_an_external_gateway_only_forced_ranges_are_translated(net):
    """Of single-host networks; elsewhere another gateway is reserved alone."""
    target, ranges = ("udp", "192.0.2.9", 80), ("198.51.100.0/24",)
    forced = (*ranges, "192.0.2.8/29")
    external = network(multi_host=False, gateway="10.0.0.50")
    reserved = network(gateway="10.0.0.50")
    for row, options, seen in (
        (external, {}, "10.0.0.2"),
        (external, {"force_snat_range": ranges}, "10.0.0.2"),
        # By whatever device it leaves.
        (external, {"force_snat_range": forced}, "192.0.2.1"),
        (reserved, {}, "192.0.2.1"),
    ):
        gateway(net, row, routing_source_ip="192.0.2.1", **options)
        assert net.guests[1].reaches(target) == {target: seen}


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
