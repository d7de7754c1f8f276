"""The guard's tables: written once, whole, repaired; others' stay."""

import contextlib
import os
import socket
import struct
import threading
import time
from dataclasses import replace

import guarded
import pytest
from frame_kinds import kinds
from guarded import (
    GATEWAY,
    PORT_A,
    A,
    B,
    C,
    guard,
    guarded_port,
    heard,
)
from namespaces import enter

from flatnet.apply.filter.guard import nft
from flatnet.apply.filter.guard.guard import (
    FAMILIES,
    TABLE,
    Guarding,
    apply_guard,
)
from flatnet.apply.filter.guard.libnftables import Session
from tests.effects import guard_set

# Of linux/if_packet.h and asm-generic/socket.h: Python does not have them.
SOL_PACKET = 263
PACKET_STATISTICS = 6
SO_RCVBUFFORCE = 33


@pytest.fixture
def site(namespaces):
    return guarded.site(namespaces)


def test_twice_is_once(site):
    def twice():
        with Session() as session:
            first = apply_guard(session, Guarding(), guard())
            before = guarded.generation()
            second = apply_guard(session, Guarding(), guard())
        return first, second, guarded.generation() - before

    first, second, written = site.host.call(twice)
    assert len(first.made) == len(FAMILIES)
    assert second.made == ()
    assert written == 0


def test_a_port_that_is_anothers_with_all_it_has_changes_nothing(site):
    mine = guarded_port(PORT_A, A)
    others = replace(mine, instance_uuid="another")

    def passes():
        guarding = Guarding()
        with Session() as session:
            for port in (mine, mine, others):
                changes = apply_guard(session, guarding, guard(port))
        return changes.made

    assert site.host.call(passes) == ()


@pytest.mark.parametrize("isolated", [True, False])
@pytest.mark.parametrize("prevent_spoofing", [True, False])
def test_every_mode_is_taken_and_found_again(site, isolated, prevent_spoofing):
    wanted = guard(isolated=isolated, prevent_spoofing=prevent_spoofing)
    assert len(site.apply(wanted).made) == len(FAMILIES)
    assert site.apply(wanted).made == ()
    for who in (B, C, GATEWAY):
        site.a.run("ping", "-c1", "-W5", who.ip)


def tables(site):
    """What the kernel has of the tables, without the flags of owners."""

    def read():
        with Session() as session:
            return [nft.read(session, family, TABLE) for family in FAMILIES]

    return site.host.call(read)


def unowned(site):
    """Have tables that anybody may change, as on older kernels."""
    for family in FAMILIES:
        site.host.run(f"nft add table {family} {TABLE}")


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
    unowned(site)
    site.apply(guard())
    whole = tables(site)
    site.host.run("nft", "-f", "-", text=damage)
    assert tables(site) != whole
    changes = site.apply(guard())
    assert changes.made
    assert changes.failures == ()
    assert tables(site) == whole
    assert site.apply(guard()).made == ()


def test_what_a_guest_used_up_is_no_difference(site):
    """Sets that rules fill are the kernel's."""
    site.apply(guard())
    heard(site, (site.a, A), kinds(A, GATEWAY, B))
    site.a.run("ping", "-c1", "-W5", GATEWAY.ip)
    listed = site.host.run("nft list set bridge flatnet dhcp_rate")
    assert PORT_A in listed
    assert site.apply(guard()).made == ()


FOREIGN = """
table bridge filter {
  chain FORWARD {
    type filter hook forward priority -200; policy accept;
    counter accept
  }
}
table inet flatnet2 {
  set s {
    type ifname
    elements = { "tapx" }
  }
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


def test_no_gap_and_no_leak_while_rewritten(site):
    """All honest frames arrive, no forged one, through 100 rewrites."""
    guarded.acquaint(site)
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
    ear.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 26)
    mouth = guarded._packet_socket(site.a.name, "eth0")
    enter(site.host.name)
    guarded.applied(plans[0])
    ended = threading.Event()
    sent = 0

    def speak():
        nonlocal sent
        # On one processor, frames keep their order: the last is the last.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        while not ended.is_set():
            mouth.send(frames["ip udp"](b"honest  "))
            mouth.send(frames["ip of other"](b"forged  "))
            mouth.send(frames["experimental"](b"forged  "))
            sent += 1
            time.sleep(0.0005)
        mouth.send(frames["ip udp"](b"fnt-%04d" % guarded.LAST))

    speaker = threading.Thread(target=speak)
    speaker.start()
    for number in range(100):
        guarded.applied(plans[number % len(plans)])
        if number % 10 == 0:
            with Session() as session:
                session.adopt([("inet", TABLE)])
                session.run("flush chain inet flatnet prerouting\n")
    ended.set()
    speaker.join()
    came = _until_last(ear)
    honest = sum(b"honest" in frame for frame in came)
    return sent, honest, sum(b"forged" in frame for frame in came)


def _until_last(ear):
    """The frames that came to B, of which the ear itself lost none."""
    came = []
    ear.settimeout(guarded.SECONDS)
    while not came or b"fnt-%04d" % guarded.LAST not in came[-1]:
        frame, address = ear.recvfrom(2000)
        # B's own are ICMP errors, a few, which quote what they are about.
        if address[2] != guarded.OUTGOING:
            came.append(frame)
    counters = ear.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
    _, lost = struct.unpack("II", counters)
    assert lost == 0
    return came


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
        changes = guarded.applied(wanted)
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
    assert guard_set("ports", "+0 -1") in results["one port less"][0]
    assert guard_set("ports", "+1 -0") in results["one port more"][0]
    with capsys.disabled(), contextlib.suppress(OSError):
        costs = ", ".join(
            f"{name} {ms} ms" for name, (_, ms) in results.items()
        )
        print(f"\nguard of 1000 ports: {costs}")
