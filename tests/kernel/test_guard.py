"""The layer 2 guard, by frames: what arrives where, whoever sends what."""

import contextlib
import os
import socket
import threading
import time

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
    guarded_port,
    heard,
    plug,
    text,
)
from namespaces import enter

from flatnet.apply import nft
from flatnet.apply.guard import FAMILIES, TABLE, apply_guard


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


def acquaint(site):
    """Have everybody learn everybody's true whereabouts."""
    for namespace in (site.a, site.b, site.c):
        for who in (A, B, C, GATEWAY):
            namespace.run("ping", "-c1", "-W2", who.ip, check=False)


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
    acquaint(site)
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
    site.apply(guard())
    far = namespaces()
    plug(site.host, far, name, stranger)
    frames = kinds(stranger, B, A)
    arrived = heard(site, (far, stranger), frames, closing=(site.c, C))
    assert text(arrived) == ""
    assert stranger.mac not in dict(fdb(site))
    # Nor is anything told to it: of all this it hears the last frame only
    # once it is planned.
    wanted = guard(*guard().ports, guarded_port(name, stranger))
    assert site.apply(wanted).made == (
        "guard: ipv4 +1 -0",
        "guard: ipv6 +1 -0",
        "guard: local_ipv4 +1 -0",
        "guard: local_ipv6 +1 -0",
        "guard: local_macs +1 -0",
        "guard: local_targets +1 -0",
        "guard: macs +1 -0",
        "guard: ports +1 -0",
        "guard: targets +1 -0",
    )
    arrived = heard(site, (far, stranger), frames)
    assert arrived["ip udp"] == ["B"]
    site.apply(guard())
    arrived = heard(site, (far, stranger), frames, closing=(site.c, C))
    assert text(arrived) == ""


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


@pytest.mark.parametrize(
    "name",
    [
        "tap0",
        "tap100i0",
        "tap-vpn",
        "tapaaaaaa04-a",
        "tapaaaaaa04-aaa",
        "tapaaaaaa04_aa",
        "tapAAAAAA04-AA",
        "vnet0",
    ],
)
def test_ports_of_others_are_left_alone(site, name):
    site.apply(guard())
    site.host.run(f"ip link set {PORT_A} down")
    site.host.run(f"ip link set {PORT_A} name {name}")
    site.host.run(f"ip link set {name} up")
    arrived = heard(site, (site.a, A), kinds(A, GATEWAY, C))
    assert "host" in arrived["experimental"]
    assert "host" in arrived["ip of foreign ip"]
    assert "C" in arrived["dhcp discover"]


def test_twice_is_once(site):
    def twice():
        first = apply_guard(guard())
        before = guarded.generation()
        return first, apply_guard(guard()), guarded.generation() - before

    first, second, written = site.host.call(twice)
    assert len(first.made) == len(FAMILIES)
    assert second.made == ()
    assert written == 0


def tables(site):
    return [site.host.call(nft.read, family, TABLE) for family in FAMILIES]


@pytest.mark.parametrize(
    "damage",
    [
        "flush ruleset",
        "flush table bridge flatnet",
        "flush table inet flatnet",
        "flush chain bridge flatnet from_guest",
        "delete table bridge flatnet",
        "delete table inet flatnet",
        "delete table arp flatnet",
        "add table bridge flatnet { flags dormant; }",
        "add chain bridge flatnet prerouting { policy drop; }",
        "add chain bridge flatnet mine",
        "insert rule bridge flatnet prerouting accept",
        'add rule bridge flatnet input drop comment "mine"',
        f'delete element bridge flatnet ports {{ "{PORT_A}" }}',
        'add element bridge flatnet ports { "tapaaaaaa05-aa" }',
        "flush set bridge flatnet macs",
        "add set bridge flatnet mine { type ifname; }",
        f'add element bridge flatnet macs {{ "{PORT_A}" . {B.mac} }}',
    ],
)
def test_damage_is_repaired(site, damage):
    site.apply(guard())
    whole = tables(site)
    site.host.run("nft", "-f", "-", text=damage)
    assert tables(site) != whole
    changes = site.apply(guard())
    assert changes.made
    assert changes.failures == ()
    assert tables(site) == whole
    assert site.apply(guard()).made == ()


FOREIGN = """
table bridge filter {
  chain FORWARD {
    type filter hook forward priority -200; policy accept;
    counter accept
  }
}
table inet flatnet2 {
  set s { type ifname; elements = { "tapx" }; }
}
table ip filter {
  chain INPUT {
    type filter hook input priority 0; policy accept;
    counter
  }
}
"""


def test_tables_of_others_stay_as_they_are(site):
    site.host.run("nft", "-f", "-", text=FOREIGN)
    names = ("bridge filter", "inet flatnet2", "ip filter")

    def foreign():
        listed = (
            site.host.run(f"nft -a -s list table {name}") for name in names
        )
        return "".join(listed)

    before = foreign()
    for wanted in (guard(), guard(isolated=False), guard(), None):
        site.apply(wanted)
        assert foreign() == before
    assert site.host.run("nft list tables").count("\n") == len(names)


def test_no_guard_removes_the_tables_once(site):
    site.apply(guard())
    assert len(site.apply(None).made) == len(FAMILIES)
    assert site.apply(None).made == ()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (guarded_port("tap0", B), "name"),
        (guarded_port('tap" drop; #', B), "name"),
        (guarded_port(PORT_B, guarded.Machine("x", B.ip, B.ip6)), "MAC"),
        (guarded_port(PORT_B, guarded.Machine(B.mac, "x", B.ip6)), "address"),
    ],
)
def test_a_bad_port_is_shut_and_told(site, bad, message):
    changes = site.apply(guard(guarded_port(PORT_A, A), bad))
    (failure,) = changes.failures
    assert failure.subject == f"port {bad.name}"
    assert failure.instances == (bad.instance_uuid,)
    assert message in failure.message
    site.a.run("ping", "-c1", "-W5", GATEWAY.ip)
    arrived = heard(
        site, (site.b, B), kinds(B, A, GATEWAY), closing=(site.c, C)
    )
    assert text(arrived) == ""


def test_no_gap_and_no_leak_while_rewritten(site):
    """All honest frames arrive, no forged one, through 100 rewrites."""
    acquaint(site)
    extra = [
        guarded_port(
            f"tapbbbbbb{number:02x}-aa",
            guarded.machine(f"fa:16:3e:00:01:{number:02x}", "10.0.0.9"),
        )
        for number in range(10)
    ]
    plans = (
        guard(),
        guard(*guard().ports, *extra),
        guard(isolated=False),
        guard(*reversed(guard().ports)),
    )
    sent, honest, forged = site.host.call(_rewriting, site, plans)
    assert sent > 1000
    assert honest == sent
    assert forged == 0


def _rewriting(site, plans):
    """Return how many were sent, and how many honest and forged came."""
    frames = kinds(A, B, GATEWAY)
    ear = guarded._packet_socket(site.b.name, "eth0")
    ear.setsockopt(socket.SOL_SOCKET, 33, 1 << 26)
    mouth = guarded._packet_socket(site.a.name, "eth0")
    enter(site.host.name)
    apply_guard(plans[0])
    ended = threading.Event()
    sent = 0

    def speak():
        nonlocal sent
        while not ended.is_set():
            mouth.send(frames["ip udp"](b"honest  "))
            mouth.send(frames["ip of other"](b"forged  "))
            mouth.send(frames["experimental"](b"forged  "))
            sent += 1
            time.sleep(0.0005)

    speaker = threading.Thread(target=speak)
    speaker.start()
    for number in range(100):
        apply_guard(plans[number % len(plans)])
        if number % 10 == 0:
            nft.write("flush chain inet flatnet prerouting\n")
    ended.set()
    speaker.join()
    mouth.send(frames["ip udp"](b"fnt-%04d" % guarded.LAST))
    came = []
    ear.settimeout(guarded.SECONDS)
    while not came or b"fnt-9999" not in came[-1]:
        frame, address = ear.recvfrom(2000)
        if address[2] != guarded.OUTGOING:
            came.append(frame)
    honest = sum(b"honest" in frame for frame in came)
    return sent, honest, sum(b"forged" in frame for frame in came)


def test_a_thousand_ports(site, capsys):
    ports = [
        guarded_port(
            f"tap{number:08x}-aa",
            guarded.machine(
                f"fa:16:3e:01:{number >> 8:02x}:{number & 255:02x}",
                f"10.1.{number >> 8}.{number & 255}",
            ),
        )
        for number in range(1000)
    ]

    def timed(wanted):
        start = time.monotonic()
        changes = apply_guard(wanted)
        return changes.made, round(1000 * (time.monotonic() - start))

    steps = {
        "first load": guard(*ports),
        "nothing to do": guard(*ports),
        "one port less": guard(*ports[1:]),
        "one port more": guard(*ports),
    }
    results = {
        name: site.host.call(timed, wanted) for name, wanted in steps.items()
    }
    assert results["nothing to do"][0] == ()
    assert "guard: ports +0 -1" in results["one port less"][0]
    assert "guard: ports +1 -0" in results["one port more"][0]
    with capsys.disabled(), contextlib.suppress(OSError):
        costs = ", ".join(
            f"{name} {ms} ms" for name, (_, ms) in results.items()
        )
        print(f"\nguard of 1000 ports: {costs}")
