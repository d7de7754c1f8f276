"""Ports of a bridge on a real kernel: made, opened, shut, removed."""

import fcntl
import struct
from dataclasses import replace
from pathlib import Path

from bridged import (
    NOTHING,
    addresses,
    apply,
    instance,
    links,
    plan,
    reach,
    state,
    tap,
    veth,
)

from flatnet.apply.link.links import link_pass
from flatnet.apply.link.port_usage import unused
from flatnet.state.changes import Changes
from tests.effects import BRIDGE

TUNSETIFF = 0x400454CA
IFF_TAP_NO_PI = 0x1002


def test_a_tap_is_opened_by_name(namespace):
    def opened():
        request = struct.pack("16sH22x", tap(1).name.encode(), IFF_TAP_NO_PI)
        with open("/dev/net/tun", "r+b", buffering=0) as device:
            fcntl.ioctl(device, TUNSETIFF, request)
            link = Path("/proc/net/dev").read_text()
            return tap(1).name in link

    reach(namespace, plan(tap(1)))
    assert namespace.call(opened)
    assert tap(1).name in links(namespace)


def test_veth_peers_carry_packets(namespaces):
    node, guest = namespaces(), namespaces()
    reach(node, plan(veth(1)))
    assert links(node)[veth(1).peer]["address"] == veth(1).mac
    assert "UP" not in links(node)[veth(1).peer]["flags"]
    node.run(f"ip link set {veth(1).peer} name eth0 netns {guest.name}")
    assert apply(node, plan(veth(1))) == Changes()
    guest.run("ip addr add 10.0.0.2/24 dev eth0")
    guest.run("ip link set eth0 up")
    assert apply(node, plan(veth(1))) == Changes()
    guest.run("ping -c 1 -W 5 10.0.0.1")


def test_a_pair_that_went_with_its_container_is_made_again(namespace):
    reach(namespace, plan(veth(1)))
    namespace.run(f"ip link del {veth(1).peer}")
    reach(namespace, plan(veth(1)))
    assert links(namespace)[veth(1).peer]["address"] == veth(1).mac


def test_ports_that_left_the_plan_go_and_foreign_ones_stay(namespace):
    namespace.run("ip tuntap add tapforeign mode tap")
    namespace.run("ip link add br7 type bridge")
    namespace.run("ip link set tapforeign master br7 up")
    namespace.run("ip addr add 192.0.2.7/24 dev br7")
    names = ("lo", "tapforeign", "br7")
    before = state(namespace, *names)
    reach(namespace, plan(tap(1), veth(2), tap(3)))
    reach(namespace, plan(tap(3)))
    assert set(links(namespace)) == {*names, "br100", tap(3).name}
    assert state(namespace, *names) == before
    reach(namespace, NOTHING)
    assert set(links(namespace)) == set(names)
    assert state(namespace, *names) == before


def test_a_bridge_with_a_foreign_port_stays(namespace):
    reach(namespace, plan(tap(1)))
    namespace.run("ip link add theirs type veth peer name other")
    namespace.run("ip link set theirs master br100")
    before = state(namespace, "theirs", "other")
    reach(namespace, NOTHING)
    assert links(namespace)["theirs"]["master"] == "br100"
    assert tap(1).name not in links(namespace)
    assert addresses(namespace, "br100") == []
    assert state(namespace, "theirs", "other") == before


def test_what_was_heard_of_a_carrier_is_not_believed(namespace):
    """Linux tells of it up to a second late."""
    apply(namespace, plan(tap(1)))

    def is_free():
        with link_pass() as found:
            heard = replace(found.links[tap(1).name], carrier=True)
            with unused(found, heard) as free:
                return free

    assert namespace.call(is_free)


def test_another_kind_replaces_the_device(namespace):
    reach(namespace, plan(tap(1)))
    reach(namespace, plan(veth(1)))
    assert links(namespace)[veth(1).name]["linkinfo"]["info_kind"] == "veth"
    reach(namespace, plan(replace(tap(1), kind="external")))
    assert veth(1).name not in links(namespace)


def test_shut_instances_have_no_open_port(namespace):
    shut = frozenset({instance(1), instance(2)})
    reach(namespace, plan(tap(1)))
    reach(namespace, plan(tap(1), tap(2), tap(3)), shut)
    found = links(namespace)
    assert "UP" not in found[tap(1).name]["flags"]
    assert tap(2).name not in found
    assert "UP" in found[tap(3).name]["flags"]
    reach(namespace, plan(tap(1), tap(2), tap(3)))
    assert "UP" in links(namespace)[tap(1).name]["flags"]


def test_an_instance_is_shut_also_on_a_broken_bridge(namespace):
    reach(namespace, plan(tap(1)))
    changes = apply(
        namespace, plan(tap(1), uplink="eth7"), frozenset({instance(1)})
    )
    assert [each.subject for each in changes.failures] == [BRIDGE]
    assert "UP" not in links(namespace)[tap(1).name]["flags"]
