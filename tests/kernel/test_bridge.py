"""Bridges on a real kernel, in a namespace as the host."""

import os

from bridged import (
    MAC,
    NETWORK,
    NOTHING,
    addresses,
    instance,
    links,
    plan,
    reach,
    tap,
    uplink,
    veth,
)

from flatnet.apply.link.bridge import check_privilege
from flatnet.apply.link.uplinks import read_uplinks
from flatnet.exceptions import HostSetupError
from flatnet.state.plan import Uplink


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
    assert after["linkinfo"]["info_data"]["stp_state"] == 1
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
