"""Bridges and ports on a real kernel, in a namespace as the host."""

import ctypes
import fcntl
import os
import socket
import struct
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from namespaces import fresh_namespace
from pyroute2 import IPRoute
from pyroute2.netlink.rtnl import RTMGRP_IPV4_IFADDR, RTMGRP_LINK

from flatnet.apply.bridge import (
    apply_bridges,
    check_privilege,
    read_uplinks,
    remove_ports,
)
from flatnet.apply.links import Host, host
from flatnet.exceptions import HostSetupError
from flatnet.state import Bridge, Changes, Plan, Port, Uplink

NETWORK = "11111111-1111-4111-8111-111111111111"
MAC = "02:aa:bb:cc:dd:ee"
TUNSETIFF = 0x400454CA
IFF_TAP_NO_PI = 0x1002
CLONE_NEWNS = 0x00020000
MS_REC = 1 << 14
MS_PRIVATE = 1 << 18


def instance(number):
    return f"bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbb{number:04d}"


def tap(number):
    mac = f"fa:16:3e:00:{number >> 8:02x}:{number & 255:02x}"
    return Port(f"tap{number:08d}-aa", "tap", mac, instance(number))


def veth(number):
    peer = f"vif{number:08d}-aa"
    return replace(tap(number), kind="veth", peer=peer)


def plan(*ports, **fields):
    defaults = {"name": "br100", "network_uuid": NETWORK, "mac": MAC}
    defaults |= {"mtu": 1500, "address": "10.0.0.1/24", "ports": ports}
    return Plan("node1", bridges=(Bridge(**(defaults | fields)),))


NOTHING = Plan("node1")


def one_pass(wanted, shut=frozenset()):
    """What the applier does in a pass, firewall left out."""
    removed = remove_ports(wanted)
    applied = apply_bridges(wanted, shut=shut)
    return Changes(
        removed.made + applied.made, removed.failures + applied.failures
    )


def apply(namespace, wanted, shut=frozenset()):
    return namespace.call(one_pass, wanted, shut)


def reach(namespace, wanted, shut=frozenset()):
    """Apply without a failure, then once more without a change."""
    first = apply(namespace, wanted, shut)
    assert first.failures == ()
    assert apply(namespace, wanted, shut) == Changes()
    return first


def failure(namespace, wanted):
    """The one failure of a plan, which must leave the host as it is."""
    before = state(namespace)
    changes = apply(namespace, wanted)
    assert changes.made == ()
    assert state(namespace) == before
    (only,) = changes.failures
    assert "\n" not in only.message
    return only


def links(namespace):
    found = namespace.json("ip -j -d link")
    return {link["ifname"]: link for link in found}


def addresses(namespace, device):
    (link,) = namespace.json(f"ip -j addr show dev {device}")
    return [
        f"{each['local']}/{each['prefixlen']}"
        for each in link["addr_info"]
        if each["scope"] == "global"
    ]


def state(namespace, *names):
    """Links and addresses as `ip` has them, without a bridge's clock."""
    found = namespace.json("ip -j -d addr")
    for link in found:
        link.get("linkinfo", {}).get("info_data", {}).pop("gc_timer", None)
    if names:
        found = [link for link in found if link.get("ifname") in names]
    return found


def uplink(namespace, name="eth1", mtu=1500):
    """An up veth as the host's card; `far` is the wire's other end."""
    namespace.run(
        f"ip link add {name} mtu {mtu} type veth peer name far{name}"
    )
    namespace.run(f"ip link set far{name} up")


# --- the bridge


def test_a_bridge_is_made_as_planned(namespace):
    uplink(namespace, mtu=1400)
    reach(namespace, plan(tap(1), uplink="eth1", mtu=1400))
    found = links(namespace)
    bridge = found["br100"]
    assert bridge["address"] == MAC
    assert bridge["mtu"] == 1400
    assert bridge["ifalias"] == f"flatnet:{NETWORK}"
    assert "UP" in bridge["flags"]
    options = bridge["linkinfo"]["info_data"]
    assert options["stp_state"] == 0
    assert options["forward_delay"] == 0
    assert options["group_fwd_mask"] == "0x4000"
    assert options["no_linklocal_learn"] == 1
    assert options["nf_call_iptables"] == 1
    assert options["nf_call_ip6tables"] == 1
    assert addresses(namespace, "br100") == ["10.0.0.1/24"]
    assert found["eth1"]["master"] == "br100"
    assert "UP" in found["eth1"]["flags"]
    port = found["tap00000001-aa"]
    assert port["master"] == "br100"
    assert port["mtu"] == 1400
    assert port["address"] == "fe:16:3e:00:00:01"
    assert port["ifalias"] == f"flatnet:{instance(1)}"
    assert "UP" in port["flags"]
    for device in ("br100", "tap00000001-aa"):
        assert namespace.run(
            f"sysctl -n net.ipv6.conf.{device}.disable_ipv6 "
            f"net.ipv6.conf.{device}.accept_ra"
        ).split() == ["1", "0"]


def test_the_mac_stays_when_ports_come_and_go(namespace):
    uplink(namespace)
    namespace.run("ip link set eth1 address 00:00:00:00:00:01")
    for ports in ((), (veth(1),), (veth(1), tap(2)), (tap(2),), ()):
        reach(namespace, plan(*ports, uplink="eth1"))
        assert links(namespace)["br100"]["address"] == MAC


def test_a_foreign_bridge_is_used_and_keeps_its_mac(namespace):
    namespace.run("ip link add br100 type bridge stp_state 1")
    namespace.run("ip link add low type veth peer name high")
    namespace.run("ip link set low address 00:00:00:00:00:05 master br100")
    namespace.run("ip addr add 192.0.2.1/24 dev br100")
    uplink(namespace)
    namespace.run("ip link set eth1 address 00:00:00:00:00:01")
    before = links(namespace)["br100"]["address"]
    reach(namespace, plan(veth(1), uplink="eth1"))
    after = links(namespace)["br100"]
    assert after["address"] == before
    assert "ifalias" not in after
    assert after["linkinfo"]["info_data"]["stp_state"] == 0
    assert addresses(namespace, "br100") == ["192.0.2.1/24", "10.0.0.1/24"]
    assert links(namespace)["low"]["master"] == "br100"
    reach(namespace, NOTHING)
    assert addresses(namespace, "br100") == ["192.0.2.1/24"]
    assert links(namespace)["br100"]["address"] == before


def test_a_bridge_left_unmarked_by_a_crash_is_ours(namespace):
    namespace.run(f"ip link add br100 address {MAC} type bridge")
    reach(namespace, plan())
    assert links(namespace)["br100"]["ifalias"] == f"flatnet:{NETWORK}"


def test_a_new_address_replaces_ours_and_spares_foreign_ones(namespace):
    reach(namespace, plan())
    namespace.run("ip addr add 10.0.0.77/24 dev br100")
    reach(namespace, plan(address="10.0.0.9/24"))
    assert sorted(addresses(namespace, "br100")) == [
        "10.0.0.77/24",
        "10.0.0.9/24",
    ]
    reach(namespace, plan(address=None))
    assert addresses(namespace, "br100") == ["10.0.0.77/24"]


def test_a_new_mtu_reaches_bridge_ports_and_peers(namespace):
    reach(namespace, plan(tap(1), veth(2)))
    for mtu in (1400, 9000, 1500):
        reach(namespace, plan(tap(1), veth(2), mtu=mtu))
        found = links(namespace)
        names = ("br100", tap(1).name, veth(2).name, veth(2).peer)
        assert [found[name]["mtu"] for name in names] == [mtu] * 4


def test_a_network_may_have_a_larger_mtu_than_a_port(namespace):
    uplink(namespace, mtu=1300)
    reach(namespace, plan(tap(1), uplink="eth1", mtu=1400))
    found = links(namespace)
    assert found["br100"]["mtu"] == 1400
    assert found["eth1"]["mtu"] == 1300


def test_a_renamed_bridge_takes_its_uplink_along(namespace):
    uplink(namespace)
    reach(namespace, plan(tap(1), uplink="eth1"))
    reach(namespace, plan(tap(1), uplink="eth1", name="br200"))
    found = links(namespace)
    assert "br100" not in found
    assert found["eth1"]["master"] == found[tap(1).name]["master"] == "br200"


# --- what can be wrong


def test_a_device_that_is_no_bridge(namespace):
    namespace.run("ip link add br100 type veth peer name other")
    only = failure(namespace, plan(tap(1)))
    assert only.subject == "bridge br100"
    assert only.instances == (instance(1),)
    assert "br100 exists and is no bridge" in only.message


def test_an_uplink_that_is_missing(namespace):
    only = failure(namespace, plan(tap(1), uplink="eth7"))
    assert only.subject == "bridge br100"
    assert "uplink eth7 does not exist" in only.message


def test_an_uplink_that_is_enslaved_elsewhere(namespace):
    uplink(namespace)
    namespace.run("ip link add virbr0 type bridge")
    namespace.run("ip link set eth1 master virbr0")
    only = failure(namespace, plan(tap(1), uplink="eth1"))
    assert "eth1 is enslaved to virbr0" in only.message


def test_an_uplink_that_carries_addresses(namespace):
    uplink(namespace)
    namespace.run("ip addr add 198.51.100.4/24 dev eth1")
    only = failure(namespace, plan(tap(1), uplink="eth1"))
    assert "eth1 carries 198.51.100.4/24" in only.message
    assert "move it to the bridge" in only.message


def test_an_address_that_another_device_holds(namespace):
    uplink(namespace)
    namespace.run("ip addr add 10.0.0.1/32 dev eth1")
    only = failure(namespace, plan(tap(1)))
    assert "10.0.0.1 is on eth1 too" in only.message


def test_two_networks_that_name_one_bridge(namespace):
    both = plan(tap(1)).bridges + plan(tap(2), network_uuid="x").bridges
    changes = apply(namespace, Plan("node1", bridges=both))
    assert changes.made == ()
    assert [each.instances for each in changes.failures] == [
        (instance(1),),
        (instance(2),),
    ]


def test_a_broken_bridge_does_not_stop_another(namespace):
    bad = plan(tap(1), name="br0", uplink="eth7", address=None)
    both = bad.bridges + plan(tap(2)).bridges
    changes = apply(namespace, Plan("node1", bridges=both))
    assert [each.subject for each in changes.failures] == ["bridge br0"]
    found = links(namespace)
    assert "br0" not in found
    assert found[tap(2).name]["master"] == "br100"


def test_a_name_that_is_taken_fails_its_own_port_only(namespace):
    namespace.run(f"ip link add {tap(1).name} type veth peer name other")
    namespace.run(f"ip link set {tap(1).name} alias theirs")
    before = state(namespace, tap(1).name)
    changes = apply(namespace, plan(tap(1), tap(2)))
    (only,) = changes.failures
    assert only.subject == f"port {tap(1).name}"
    assert only.instances == (instance(1),)
    assert "is not flatnet's" in only.message
    assert state(namespace, tap(1).name) == before
    assert links(namespace)[tap(2).name]["master"] == "br100"


def test_tun_that_is_missing(namespace):
    changes = namespace.call(pass_without_tun, plan(tap(1), veth(2)))
    (only,) = changes.failures
    assert only.subject == f"port {tap(1).name}"
    assert "/dev/net/tun is missing" in only.message
    assert links(namespace)[veth(2).name]["master"] == "br100"


def pass_without_tun(wanted):
    """A pass of a process that sees an empty /dev/net of its own."""
    libc = ctypes.CDLL(None)
    assert libc.unshare(CLONE_NEWNS) == 0
    assert libc.mount(b"none", b"/", None, MS_PRIVATE | MS_REC, None) == 0
    assert libc.mount(b"none", b"/dev/net", b"tmpfs", 0, None) == 0
    return one_pass(wanted)


def test_a_bridge_that_is_full(namespace):
    reach(namespace, plan(veth(1)))
    batch = "".join(
        f"link add a{number} master br100 type veth "
        f"peer name b{number}\nlink set b{number} master br100\n"
        for number in range(511)
    )
    namespace.run("ip", "-batch", "-", text=batch)
    changes = apply(namespace, plan(veth(1), veth(2)))
    (only,) = changes.failures
    assert only.subject == f"port {veth(2).name}"
    assert "1023" in only.message
    assert veth(2).name not in links(namespace)


def test_privilege_is_checked():
    check_privilege()
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        try:
            check_privilege()
        except HostSetupError as error:
            os._exit(0 if "CAP_NET_ADMIN" in str(error) else 1)
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def test_uplinks_as_the_kernel_has_them(namespace):
    uplink(namespace, mtu=1450)
    found = namespace.call(read_uplinks, ("eth1", "eth7"))
    assert found == (Uplink(name="eth1", mtu=1450),)


# --- ports


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
    assert [each.subject for each in changes.failures] == ["bridge br100"]
    assert "UP" not in links(namespace)[tap(1).name]["flags"]


# --- the laws


def test_the_second_pass_writes_nothing(namespace):
    def notifications(wanted):
        with IPRoute() as events:
            events.bind(groups=RTMGRP_LINK | RTMGRP_IPV4_IFADDR)
            changes = one_pass(wanted)
            names = socket.if_nameindex()
            # One change of the test's own marks the end.
            with IPRoute() as other:
                other.link("set", index=1, ifalias="end")
            seen = []
            while not seen or seen[-1] != "end":
                seen.extend(
                    event.get_attr("IFLA_IFALIAS") for event in events.get()
                )
            return changes, len(seen), len(names)

    uplink(namespace)
    wanted = plan(tap(1), veth(2), uplink="eth1")
    first, written, _ = namespace.call(notifications, wanted)
    assert first.failures == ()
    assert written > 1
    namespace.run("ip link set lo alias start")
    second, written, _ = namespace.call(notifications, wanted)
    assert (second, written) == (Changes(), 1)


def commands():
    """Commands that leave a host in any state a plan may meet."""
    names = st.sampled_from(
        [tap(1).name, veth(2).name, veth(2).peer, tap(3).name, "eth1", "br7"]
    )
    masters = st.sampled_from(["br100", "br7", "br100"])
    marks = st.sampled_from([f"flatnet:{instance(1)}", "flatnet:x"])
    return st.lists(
        st.one_of(
            st.builds("ip link set {} master {}".format, names, masters),
            st.builds("ip link set {} nomaster".format, names),
            st.builds("ip link set {} down".format, names),
            st.builds("ip link set {} up".format, names),
            st.builds("ip link set {} mtu 1333".format, names),
            st.builds("ip link del {}".format, names),
            st.builds("ip link set {} alias {}".format, names, marks),
            st.builds("ip tuntap add {} mode tap".format, names),
            st.just("ip link add br100 type bridge stp_state 1"),
            st.just(f"ip link add br100 address {MAC} type bridge"),
            st.just("ip link add br7 type bridge"),
            st.just("ip link set br7 alias flatnet:old"),
            st.just("ip link set br100 address 02:00:00:00:00:99"),
            st.just("ip link set br100 down"),
            st.just("ip link set br100 type bridge group_fwd_mask 0"),
            st.just("ip link del br100"),
            st.just("ip addr add 10.0.0.3/24 dev br100 proto 0xfa"),
            st.just("ip addr flush dev br100"),
            st.just("sysctl -w net.ipv6.conf.br100.disable_ipv6=0"),
        ),
        max_size=12,
    )


@examples(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(before=st.booleans(), junk=commands())
@example(before=False, junk=[f"ip tuntap add {veth(2).peer} mode tap"])
@example(
    before=False,
    junk=[
        "ip link add br100 type bridge stp_state 1",
        f"ip tuntap add {tap(1).name} mode tap",
        f"ip link set {tap(1).name} up",
    ],
)
def test_from_anything_to_the_plan(before, junk):
    wanted = plan(tap(1), veth(2), tap(3))
    with fresh_namespace() as namespace:
        uplink(namespace)
        if before:
            apply(namespace, plan(tap(1), veth(2), uplink="eth1"))
        for command in junk:
            namespace.run(command, check=False)
        first = apply(namespace, wanted)
        # A device of ours in name but marked by nobody may be anybody's.
        taken = {each.subject.removeprefix("port ") for each in first.failures}
        for each in first.failures:
            assert "is not flatnet's" in each.message
        assert apply(namespace, wanted).made == ()
        found = links(namespace)
        assert found["br100"]["mtu"] == 1500
        assert "10.0.0.1/24" in addresses(namespace, "br100")
        for port in wanted.bridges[0].ports:
            if port.name not in taken:
                assert found[port.name]["master"] == "br100"
                assert "UP" in found[port.name]["flags"]


def test_two_hundred_ports(namespace, record_property):
    ports = tuple(tap(number) for number in range(1, 201))
    for name, wanted in (
        ("make", plan(*ports)),
        ("nothing to do", plan(*ports)),
        ("one more", plan(*ports, veth(201))),
        ("remove", NOTHING),
    ):
        begin = time.perf_counter()
        changes = apply(namespace, wanted)
        seconds = time.perf_counter() - begin
        assert changes.failures == ()
        record_property(name, seconds)
        print(f"200 ports, {name}: {seconds * 1000:.0f} ms")


def test_one_pass_reads_once(namespace, monkeypatch):
    reach(namespace, plan(tap(1), tap(2)))

    def unread(*arguments):
        raise AssertionError("a link was read alone")

    monkeypatch.setattr(Host, "reread", unread)
    assert apply(namespace, plan(tap(1), tap(2))) == Changes()


def test_an_unmarked_namespace_has_nothing_of_ours(namespace):
    def ours():
        with host() as found:
            return [link.name for link in found.links.values() if link.ours]

    assert namespace.call(ours) == []
    with pytest.raises(AssertionError):
        namespace.run("ip link show br100")
