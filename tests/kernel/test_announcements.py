"""What says where a guest is now: to the uplink, and to nobody else."""

import json
import os
import select
import struct
import subprocess

import guarded
import pytest
from frames import BROADCAST, IP, ZERO, ether, mac_bytes, packed
from guarded import (
    GATEWAY,
    PORT_A,
    A,
    B,
    C,
    acquaint,
    guard,
    heard,
)
from namespaces import enter

RARP = 0x8035
QEMU = (
    *("qemu-system-x86_64", "-nodefaults", "-nographic", "-m", "16"),
    *("-accel", "tcg", "-qmp", "stdio"),
    *("-netdev", f"tap,id=n,ifname={PORT_A},script=no,downscript=no"),
    *("-device", f"virtio-net-pci,netdev=n,mac={A.mac}"),
)
ANNOUNCE = {
    "execute": "announce-self",
    "arguments": {"initial": 50, "max": 100, "rounds": 5, "step": 20},
}


@pytest.fixture
def site(namespaces):
    return guarded.silent_site(namespaces)


def rarp(
    mac,
    *,
    to=BROADCAST,
    source=None,
    form=(1, IP, 6, 4, 3),
    ends=None,
    addresses=("0.0.0.0", "0.0.0.0"),
    rest=bytes(18),
):
    """A frame as QEMU announces `mac`, or otherwise."""
    sender, target = map(mac_bytes, ends or (mac, mac))
    mine, asked = map(packed, addresses)
    body = struct.pack("!HHBBH", *form) + sender + mine + target + asked
    return ether(to, source or mac, RARP, body + rest)


def forged():
    """What is no announcement of A's own MAC, by name."""
    return {
        "of other's mac": rarp(B.mac),
        "of other's mac by own": rarp(B.mac, source=A.mac),
        "own by other's mac": rarp(A.mac, source=B.mac),
        "sender is another": rarp(A.mac, ends=(B.mac, A.mac)),
        "target is another": rarp(A.mac, ends=(A.mac, B.mac)),
        "target is nobody": rarp(A.mac, ends=(A.mac, ZERO)),
        "to a guest": rarp(A.mac, to=B.mac),
        "to the host": rarp(A.mac, to=GATEWAY.mac),
        "to another host": rarp(A.mac, to=C.mac),
        "reply": rarp(A.mac, form=(1, IP, 6, 4, 4)),
        "arp request": rarp(A.mac, form=(1, IP, 6, 4, 1)),
        "of another link": rarp(A.mac, form=(6, IP, 6, 4, 3)),
        "of its address": rarp(A.mac, addresses=(A.ip, "0.0.0.0")),
        "for its address": rarp(A.mac, addresses=("0.0.0.0", A.ip)),
        "with a word": rarp(A.mac, rest=b"\1".ljust(18, b"\0")),
        "with a last word": rarp(A.mac, rest=b"\1".rjust(18, b"\0")),
        "longer": rarp(A.mac, rest=bytes(19)),
        "a runt": rarp(A.mac)[:42],
    }


def received(place, voice, frames):
    """Return {name: who heard it}, each known by all of its bytes."""
    speaker, _ = voice
    ears = {
        name: ear for name, ear in place.ears.items() if ear[0] != speaker.name
    }
    return place.host.call(_received, ears, speaker.name, frames)


def _received(ears, speaker, frames):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    listening = {
        who: guarded._packet_socket(*ear) for who, ear in ears.items()
    }
    mouth = guarded._packet_socket(speaker, "eth0")
    for frame in frames.values():
        mouth.send(frame)
    # Delivery is done when `send` returns: what came is there to be read.
    found = _waiting(listening)
    return {
        name: [who for who, got in found.items() if frame in got]
        for name, frame in frames.items()
    }


def _waiting(ears, seconds=0.3):
    """Return the frames that each hears, until none came for a moment."""
    names = {ear: who for who, ear in ears.items()}
    found = {who: [] for who in ears}
    while ready := select.select([*names], [], [], seconds)[0]:
        for ear in ready:
            data, address = ear.recvfrom(65535)
            if address[2] != guarded.OUTGOING:
                found[names[ear]].append(data)
    return found


def _announcements(ears, seconds=0.3):
    return {
        who: [data for data in found if data[12:14] == b"\x80\x35"]
        for who, found in _waiting(ears, seconds).items()
    }


def nobody(frames):
    return {name: [] for name in frames}


def test_an_announcement_leaves_by_the_uplink_alone(site):
    frames = {"own": rarp(A.mac), **forged()}
    voice = site.a, A
    before = received(site, voice, frames)
    assert before["own"] == ["B", "C", "host"]
    assert sum("B" in who for who in before.values()) > 10
    site.apply(guard())
    assert received(site, voice, frames) == {
        "own": ["C"],
        **nobody(forged()),
    }
    # Whoever may use any MAC has one that is announced.
    site.apply(guard(prevent_spoofing=False))
    assert received(site, voice, frames)["own"] == ["C"]
    assert received(site, voice, forged()) == nobody(forged())


def test_one_from_beyond_reaches_no_guest(site):
    site.apply(guard())
    frames = {
        "other's": rarp(C.mac),
        "ours": rarp(A.mac),
        "to a guest": rarp(C.mac, to=A.mac),
    }
    found = received(site, (site.c, C), frames)
    assert found == {"other's": ["host"], "ours": [], "to a guest": []}


def test_announcements_move_nobody_else(site):
    site.apply(guard())
    acquaint(site)
    show = ("bridge", "-j", "fdb", "show", "br", guarded.BRIDGE)

    def places():
        return {
            (each["mac"], each["ifname"]) for each in site.host.json(*show)
        }

    for voice in ((site.a, A), (site.b, B)):
        received(site, voice, {"own": rarp(voice[1].mac)})
    before = places()
    assert (B.mac, guarded.PORT_B) in before
    received(site, (site.a, A), forged())
    assert places() == before


def test_there_are_few_of_them(site):
    site.apply(guard())

    def heard_by_c(mouth, count):
        ear = guarded._packet_socket(site.c.name, "eth0")
        speaking = guarded._packet_socket(mouth.name, "eth0")
        own = {site.a: A, site.b: B}[mouth]
        for _ in range(count):
            speaking.send(rarp(own.mac))
        return len(_announcements({"C": ear})["C"])

    assert site.host.call(heard_by_c, site.a, 10) == 10
    assert 10 <= site.host.call(heard_by_c, site.a, 300) < 30
    # Each port has its own allowance.
    assert site.host.call(heard_by_c, site.b, 10) == 10


def test_a_hypervisor_announces_its_guest(site):
    site.apply(guard())
    site.host.run(f"ip link del {PORT_A}")
    site.host.run(f"ip tuntap add {PORT_A} mode tap")
    site.host.run(f"ip link set {PORT_A} master {guarded.BRIDGE} up")
    ears = {who: ear for who, ear in site.ears.items() if who != "A"}
    found = site.host.call(_announced, site.host.name, ears)
    assert found == {"B": [], "C": [rarp(A.mac)] * 5, "host": []}


def _announced(host, ears):
    """The announcements that each hears of a hypervisor's guest."""
    listening = {
        who: guarded._packet_socket(*ear) for who, ear in ears.items()
    }
    enter(host)
    pipe = subprocess.PIPE
    with subprocess.Popen(QEMU, stdin=pipe, stdout=pipe, text=True) as qemu:
        try:
            _ask(qemu, {"execute": "qmp_capabilities"})
            _ask(qemu, ANNOUNCE)
            return _announcements(listening, 1)
        finally:
            qemu.kill()


def _ask(qemu, question):
    qemu.stdin.write(json.dumps(question) + "\n")
    qemu.stdin.flush()
    while '"return"' not in (line := qemu.stdout.readline()):
        assert line, "the hypervisor ended"


def test_a_guest_s_own_arp_leaves_by_the_uplink(site):
    """Linux announces an address by a request or a reply for itself."""
    site.apply(guard())
    mac, ip = mac_bytes(A.mac), packed(A.ip)

    def announced(operation, target):
        head = struct.pack("!HHBBH", 1, IP, 6, 4, operation) + mac + ip
        return lambda mark: ether(
            BROADCAST, A.mac, 0x0806, head + target + ip + mark
        )

    frames = {
        "request": announced(1, bytes(6)),
        "reply": announced(2, mac),
    }
    found = heard(site, (site.a, A), frames)
    assert found == {name: ["B", "C", "host"] for name in frames}
