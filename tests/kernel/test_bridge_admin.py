"""An admin's own bridge: used, and left as it is but for isolation."""

import pytest
from bridged import (
    NETWORK,
    NOTHING,
    addresses,
    failure,
    instance,
    links,
    plan,
    reach,
    tap,
    uplink,
    veth,
)

from flatnet.state.effects import Effect, Surface, Verb
from tests.effects import BRIDGE

STP = "stp_state 1 forward_delay 1200 ageing_time 1000 priority 4096"


def made(namespace, options="", mtu=1500):
    """Make the admin's bridge with a card of the same mtu on it."""
    uplink(namespace, mtu=mtu)
    namespace.run(f"ip link add br100 type bridge {options}")
    namespace.run("ip link set eth1 master br100")
    namespace.run("ip link set br100 up")


def settings_of(namespace):
    """What the admin may have set of the bridge, by name."""
    link = links(namespace)["br100"]
    options = dict(link["linkinfo"]["info_data"])
    for clock in [name for name in options if name.endswith("_timer")]:
        del options[clock]
    kept = ("address", "mtu", "flags", "txqlen")
    return options | {name: link[name] for name in kept}


ISOLATING = {
    "group_fwd_mask": "0x4008",
    "no_linklocal_learn": 1,
    "nf_call_iptables": 1,
    "nf_call_ip6tables": 1,
}


@pytest.mark.parametrize("pinned", ["", "ip link set br100 mtu 9000"])
def test_it_keeps_all_that_isolation_does_not_need(namespace, pinned):
    made(namespace, f"{STP} group_fwd_mask 8", mtu=9000)
    namespace.run(pinned or "true")
    namespace.run("ip addr add 192.0.2.1/24 dev br100")
    namespace.run("ip addr add 2001:db8::1/64 dev br100")
    before = settings_of(namespace)
    assert (before["mtu"], before["stp_state"]) == (9000, 1)
    first = reach(namespace, plan(tap(1), veth(2)))
    stp = Effect(Surface.BRIDGE, Verb.SET, "br100", "IFLA_BR_STP_STATE")
    assert stp not in first.made
    after = settings_of(namespace)
    changed = {name for name in before if before[name] != after[name]}
    # Who is the root, and what is about to be told, are no settings.
    changed -= {"topology_change", "topology_change_detected"}
    assert {name: after[name] for name in changed} == ISOLATING
    assert addresses(namespace, "br100") == [
        "192.0.2.1/24",
        "10.0.0.1/24",
        "2001:db8::1/64",
    ]
    ports = [links(namespace)[each.name] for each in (tap(1), veth(2))]
    assert [port["mtu"] for port in ports] == [1500, 1500]
    reach(namespace, plan(tap(1)))
    reach(namespace, NOTHING)
    assert settings_of(namespace)["mtu"] == 9000
    assert "ifalias" not in links(namespace)["br100"]


def test_one_of_ours_is_set_whole(namespace):
    namespace.run(f"ip link add br100 type bridge {STP}")
    namespace.run(f"ip link set br100 alias flatnet:{NETWORK}")
    reach(namespace, plan(tap(1)))
    options = settings_of(namespace)
    assert (options["stp_state"], options["forward_delay"]) == (0, 0)


def test_a_smaller_mtu_than_the_networks(namespace):
    made(namespace, mtu=1400)
    only = failure(namespace, plan(tap(1)))
    assert only.subject == BRIDGE
    assert only.instances == (instance(1),)
    assert only.message == (
        "bridge br100, which flatnet did not make, has mtu 1400, and its "
        "network 1500, so that packets would be lost: ip link set br100 mtu "
        "1500, or give the network that mtu"
    )
    namespace.run("ip link set br100 mtu 1500")
    reach(namespace, plan(tap(1)))


def test_an_uplink_that_is_about_to_raise_its_mtu(namespace):
    uplink(namespace, mtu=9000)
    namespace.run("ip link add br100 type bridge")
    reach(namespace, plan(tap(1), uplink="eth1", mtu=9000))
    assert settings_of(namespace)["mtu"] == 9000
