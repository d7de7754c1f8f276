"""Whose port is it: by the bridge that it is on, not by what it is called."""

import guarded
import pytest
from frame_kinds import kinds
from guarded import (
    BRIDGE,
    GATEWAY,
    PORT_A,
    UPLINK,
    A,
    B,
    C,
    guard,
    guarded_network,
    heard,
    plug,
    text,
)

STRANGER = guarded.machine("fa:16:3e:00:00:09", "10.0.0.9")
# What libvirt, Neutron, Proxmox and an administrator call theirs.
NAMES = ("vnet0", "tap0a1b2c3d-4e", "tap100i0", "lan0")


@pytest.fixture
def site(namespaces):
    return guarded.site(namespaces)


@pytest.fixture
def silent_site(namespaces):
    return guarded.silent_site(namespaces)


def made_by_flatnet(site):
    site.host.run(f"ip link set {BRIDGE} alias flatnet:11111111")


def test_a_renamed_uplink_stays_one(silent_site):
    silent_site.host.run(f"ip link set {UPLINK} name lan0")
    silent_site.apply(guard())
    arrived = heard(silent_site, (silent_site.c, C), kinds(C, B, GATEWAY))
    assert arrived["arp request"] == ["A", "B", "host"]
    for name in ("arp of other's ip", "arp reply of other's ip", "dhcp offer"):
        assert "B" not in arrived[name], name
    # Nor does a guest's DHCP leave by it.
    arrived = heard(silent_site, (silent_site.a, A), kinds(A, B, GATEWAY))
    assert arrived["dhcp discover"] == ["host"]


@pytest.mark.parametrize("name", NAMES)
def test_a_foreign_port_of_our_own_bridge_is_closed(
    silent_site, namespaces, name
):
    made_by_flatnet(silent_site)
    far = namespaces()
    plug(silent_site.host, far, name, STRANGER)
    networks = (guarded_network(uplink=UPLINK),)
    (warning,) = silent_site.apply(guard(networks=networks)).warnings
    assert warning.startswith(f"port {name} of {BRIDGE} is closed:")
    assert f"flat_interface = {name}" in warning
    assert "devname" in warning
    frames = kinds(STRANGER, B, A)
    arrived = heard(
        silent_site, (far, STRANGER), frames, closing=(silent_site.c, C)
    )
    assert text(arrived) == ""


@pytest.mark.parametrize("name", NAMES)
def test_a_foreign_port_of_an_admins_bridge_is_like_an_uplink(
    silent_site, namespaces, name
):
    far = namespaces()
    plug(silent_site.host, far, name, STRANGER)
    (warning,) = (
        line
        for line in silent_site.apply(guard()).warnings
        if line.startswith(f"port {name} ")
    )
    assert "guarded like an uplink" in warning
    arrived = heard(
        silent_site,
        (far, STRANGER),
        kinds(STRANGER, B, A),
        closing=(silent_site.c, C),
    )
    assert "B" in arrived["ip udp"]
    # It may be anybody, but none of ours.
    for forged in ("arp of other", "ip of other", "ip of other's ip"):
        assert arrived[forged] == [], forged


@pytest.mark.parametrize(
    ("foreign_ports", "is_ours", "passes"),
    [("uplink", True, True), ("closed", False, False)],
)
def test_an_option_decides_for_both(
    silent_site, namespaces, foreign_ports, is_ours, passes
):
    if is_ours:
        made_by_flatnet(silent_site)
    far = namespaces()
    plug(silent_site.host, far, "vnet0", STRANGER)
    fields = {"uplink": UPLINK, "foreign_ports": foreign_ports}
    silent_site.apply(guard(networks=(guarded_network(**fields),)))
    arrived = heard(
        silent_site,
        (far, STRANGER),
        kinds(STRANGER, B, A),
        closing=(silent_site.c, C),
    )
    assert ("B" in arrived["ip udp"]) == passes


@pytest.mark.parametrize("name", NAMES)
def test_ports_of_other_bridges_are_left_alone(site, namespaces, name):
    """Also if they are called as ours are."""
    site.apply(guard())
    host, far, peer = site.host, namespaces(), namespaces()
    host.run("ip link add br7 up type bridge")
    for space, device, address in (
        (far, name, "10.7.0.1/24"),
        (peer, "peer0", "10.7.0.2/24"),
    ):
        host.run(
            f"ip link add {device} type veth peer name eth0 netns {space.name}"
        )
        host.run(f"ip link set {device} master br7 up")
        space.run(f"ip address add {address} dev eth0")
        space.run("ip link set eth0 up")
    assert site.apply(guard()).made == ()
    peer.run("ping -c1 -W5 10.7.0.1")
    for device in (name, "peer0"):
        assert device not in host.run("nft list ruleset")


def test_a_port_of_ours_that_left_the_plan_is_closed_anywhere(silent_site):
    """Where removing it failed, it is no uplink for it."""
    silent_site.host.run(f"ip link set {PORT_A} alias flatnet:instance")
    (_, b) = guard().ports
    silent_site.apply(guard(b))
    arrived = heard(
        silent_site,
        (silent_site.a, A),
        kinds(A, B, GATEWAY),
        closing=(silent_site.c, C),
    )
    assert text(arrived) == ""


def test_an_uplink_on_the_bridge_of_others_is_theirs(site, namespaces):
    """A mistyped flat_interface fails, and cuts nothing off."""
    host, far, peer = site.host, namespaces(), namespaces()
    host.run("ip link add br7 up type bridge")
    for space, device, address in (
        (far, "eth7", "10.7.0.1/24"),
        (peer, "peer0", "10.7.0.2/24"),
    ):
        host.run(
            f"ip link add {device} type veth peer name eth0 netns {space.name}"
        )
        host.run(f"ip link set {device} master br7 up")
        space.run(f"ip address add {address} dev eth0")
        space.run("ip link set eth0 up")
    site.apply(guard(networks=(guarded_network(uplink="eth7"),)))
    peer.run("ping -c1 -W5 10.7.0.1")
    assert "eth7" not in host.run("nft list set bridge flatnet uplinks")


def test_a_foreign_machine_asks_its_own_server_beyond_the_uplink(
    silent_site, namespaces
):
    """On an administrator's bridge it is no guest of ours."""
    far = namespaces()
    plug(silent_site.host, far, "vnet0", STRANGER)
    silent_site.apply(guard())
    arrived = heard(
        silent_site,
        (far, STRANGER),
        kinds(STRANGER, C, A),
        closing=(silent_site.a, A),
    )
    assert arrived["dhcp discover"] == ["C"]
    assert arrived["dhcp renewal"] == ["C"]


def test_a_port_whose_name_no_rule_can_hold_costs_nobody_else(
    silent_site, namespaces
):
    far = namespaces()
    plug(silent_site.host, far, "odd+name", STRANGER)
    changes = silent_site.apply(guard())
    assert changes.failures == ()
    assert any("rename it" in line for line in changes.warnings)
    arrived = heard(
        silent_site,
        (far, STRANGER),
        kinds(STRANGER, B, A),
        closing=(silent_site.c, C),
    )
    assert {ear for who in arrived.values() for ear in who} <= {"host"}
