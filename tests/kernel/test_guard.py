"""The layer 2 guard, by frames: what arrives where, whoever sends what."""

import os
import socket

import guarded
import pytest
from frame_kinds import kinds
from frames import BROADCAST, IP, ether, ip, udp
from guard_verdicts import (
    GUEST_TO_GUEST,
    GUEST_TO_GUEST_SAME_NET,
    GUEST_TO_GUEST_SPOOFING,
    GUEST_TO_HOST,
    UPLINK_TO_GUEST,
)
from guarded import (
    BRIDGE,
    GATEWAY,
    PORT_A,
    PORT_B,
    UPLINK,
    A,
    B,
    C,
    guard,
    guarded_network,
    guarded_port,
    heard,
    plug,
    text,
)
from namespaces import enter

from tests.effects import guard_set


@pytest.fixture
def site(namespaces):
    return guarded.site(namespaces)


@pytest.fixture
def silent_site(namespaces):
    return guarded.silent_site(namespaces)


def fdb(site):
    """The ports at which the bridge has learned each MAC, sorted."""
    entries = site.host.json("bridge", "-j", "fdb", "show", "br", BRIDGE)
    return sorted(
        (entry["mac"], entry["ifname"])
        for entry in entries
        if entry.get("state") != "permanent"
    )


def neighbours(namespace):
    """The (address, MAC) pairs that a machine believes in."""
    return {
        (entry["dst"], entry["lladdr"])
        for entry in namespace.json("ip", "-j", "neigh")
        if "lladdr" in entry
    }


def test_without_a_guard_nearly_everything_arrives(silent_site):
    frames = kinds(A, B, GATEWAY)
    arrived = heard(silent_site, (silent_site.a, A), frames)
    assert len(frames) > 120
    assert sum("B" in who for who in arrived.values()) > 80


@pytest.mark.parametrize(
    ("expected", "fields"),
    [
        (GUEST_TO_GUEST, {}),
        (GUEST_TO_GUEST_SAME_NET, {"isolated": False}),
        (GUEST_TO_GUEST_SPOOFING, {"prevent_spoofing": False}),
    ],
)
def test_guest_to_guest(silent_site, expected, fields):
    silent_site.apply(guard(**fields))
    arrived = heard(silent_site, (silent_site.a, A), kinds(A, B, GATEWAY))
    assert text(arrived) == expected


def test_guest_to_host(silent_site):
    silent_site.apply(guard())
    arrived = heard(silent_site, (silent_site.a, A), kinds(A, GATEWAY, B))
    assert text(arrived) == GUEST_TO_HOST


def test_uplink_to_guest(silent_site):
    silent_site.apply(guard())
    arrived = heard(silent_site, (silent_site.c, C), kinds(C, B, A))
    assert text(arrived) == UPLINK_TO_GUEST


def test_no_table_is_poisoned(site):
    site.apply(guard())
    guarded.acquaint(site)
    before = fdb(site)
    assert (A.mac, PORT_A) in before
    assert (B.mac, PORT_B) in before
    for voice, target, other in (
        ((site.a, A), B, GATEWAY),
        ((site.a, A), B, C),
        ((site.a, A), GATEWAY, B),
        ((site.c, C), B, A),
        ((site.c, C), GATEWAY, B),
        ((site.c, C), A, GATEWAY),
    ):
        heard(site, voice, kinds(voice[1], target, other))
    added = {("02:de:ad:00:00:01", UPLINK)}
    assert set(fdb(site)) - added == set(before)
    true = {
        (address, who.mac)
        for who in (A, B, C, GATEWAY)
        for address in (who.ip, who.ip6)
    }
    for namespace in (site.host, site.a, site.b):
        assert neighbours(namespace) <= true


def test_honest_guests_notice_nothing(site):
    site.apply(guard())
    for who in (B, C, GATEWAY):
        site.a.run("ping", "-c1", "-W5", who.ip)
    site.c.run("ping", "-c1", "-W5", A.ip)
    # Longer than a frame: in fragments, both ways.
    site.a.run("ping", "-c1", "-W5", "-s", "4000", B.ip)
    for who in (B, C):
        site.a.run("ping", "-c1", "-W5", f"{who.ip6}%eth0")
    site.a.run("ping", "-c1", "-W5", "-s", "4000", f"{B.ip6}%eth0")


def test_dhcp_through_the_guard(site, tmp_path):
    site.apply(guard())
    site.host.start(
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--port=0",
        "--user=root",
        f"--interface={BRIDGE}",
        "--bind-interfaces",
        f"--dhcp-range={GATEWAY.ip},static",
        f"--dhcp-host={B.mac},{B.ip}",
        f"--dhcp-leasefile={tmp_path}/leases",
        f"--pid-file={tmp_path}/pid",
    )
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    site.b.run("ip address flush dev eth0")
    site.b.run(
        "busybox", "udhcpc", "-fnq", "-t10", "-T1", "-ieth0", f"-s{script}"
    )
    assert B.ip in (tmp_path / "leases").read_text()


def test_a_port_passes_nothing_before_it_is_planned(site, namespaces):
    name, stranger = (
        "tapaaaaaa03-aa",
        guarded.machine("fa:16:3e:00:00:03", "10.0.0.4"),
    )
    closed = {
        "networks": (guarded_network(uplink=UPLINK, foreign_ports="closed"),)
    }
    site.apply(guard(**closed))
    far = namespaces()
    plug(site.host, far, name, stranger)
    frames = kinds(stranger, B, A)

    def arrived():
        return heard(site, (far, stranger), frames, closing=(site.c, C))

    # Nobody looked at it yet: what is for all is heard by the host alone.
    assert {ear for who in arrived().values() for ear in who} == {"host"}
    (warning,) = site.apply(guard(**closed)).warnings
    assert warning.startswith(f"port {name} of {BRIDGE} is closed:")
    assert text(arrived()) == ""
    # It had spoken; now the bridge forgets.
    site.host.run(f"bridge fdb flush dev {name} dynamic", check=False)
    wanted = guard(*guard().ports, guarded_port(name, stranger), **closed)
    assert site.apply(wanted).made == (
        guard_set("closed", "+0 -1"),
        guard_set("hardware", "+1 -0"),
        guard_set("ipv4", "+1 -0"),
        guard_set("ipv6", "+1 -0"),
        guard_set("local_ipv4", "+1 -0"),
        guard_set("local_ipv6", "+1 -0"),
        guard_set("local_macs", "+1 -0"),
        guard_set("local_targets", "+1 -0"),
        guard_set("macs", "+1 -0"),
        guard_set("ports", "+1 -0"),
        guard_set("targets", "+1 -0"),
    )
    assert heard(site, (far, stranger), frames)["ip udp"] == ["B"]
    site.apply(guard(**closed))
    assert text(arrived()) == ""


def test_a_port_off_the_bridge_reaches_no_stack(site):
    """Neither IP nor ARP; without the guard both do."""
    site.host.run(f"ip link set {PORT_A} nomaster")
    packet = ip(A.ip, "255.255.255.255", 17, udp(999, 7777, b"guest"))
    frame = ether(BROADCAST, A.mac, IP, packet)

    def told():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
            ear.settimeout(guarded.SECONDS)
            ear.bind(("", 7777))
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            mouth = guarded._packet_socket(site.a.name, "eth0")
            mouth.send(frame)
            enter(site.host.name)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
                own.sendto(b"end", ("127.0.0.1", 7777))
            return ear.recv(100)

    assert site.host.call(told) == b"guest"
    asked = ("ping", "-c1", "-W1", GATEWAY.ip)
    site.a.run(*asked, check=False)
    assert (A.ip, A.mac) in neighbours(site.host)
    site.apply(guard())
    site.host.run(f"ip neigh flush dev {PORT_A}")
    assert site.host.call(told) == b"end"
    site.a.run("ip neigh flush dev eth0")
    site.a.run(*asked, check=False)
    assert (A.ip, A.mac) not in neighbours(site.host)
