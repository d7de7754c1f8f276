"""A host with a bridge, two guests, another host, and who hears which frame.

Guests are namespaces at the far end of veth pairs whose near ends have the
names of flatnet's ports; the other host is beyond the uplink.
"""

import os
import re
import select
import socket
import struct
import time
from dataclasses import dataclass

from frames import ARP, BROADCAST, Machine, arp, ether
from namespaces import Namespace, enter

from flatnet.apply.filter.guard.guard import Guarding, apply_guard
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.state.eui64 import eui64_address
from flatnet.state.plan import Guard, GuardedNetwork, GuardedPort

PORT_A = "tapaaaaaa01-aa"
PORT_B = "tapaaaaaa02-aa"
UPLINK = "upl0"
BRIDGE = "br0"
MARK = re.compile(rb"fnt-(\d{4})")
LAST = 9999
SECONDS = 10
OUTGOING = 4
EVERYTHING = socket.htons(3)


def machine(mac, ip):
    return Machine(mac, ip, eui64_address("fe80::/64", mac))


A = machine("fa:16:3e:00:00:01", "10.0.0.2")
B = machine("fa:16:3e:00:00:02", "10.0.0.3")
C = machine("52:54:00:00:00:99", "10.0.0.200")
GATEWAY = machine("02:00:00:00:00:01", "10.0.0.1")


def guarded_port(name, who):
    return GuardedPort(name, who.mac, (who.ip, who.ip6), f"uuid of {name}")


def guard(*ports, **fields):
    """The guard of A and B, or of `ports`, isolated unless said."""
    defaults = {
        "ports": ports or (guarded_port(PORT_A, A), guarded_port(PORT_B, B)),
        "networks": (guarded_network(),),
        "isolated": True,
    }
    return Guard(**{**defaults, **fields})


def guarded_network(**fields):
    """The network of the host's bridge; its uplink is not planned."""
    defaults = {
        "bridge": BRIDGE,
        "cidr": "10.0.0.0/24",
        "mac": GATEWAY.mac,
        "address": GATEWAY.ip,
        "serves": True,
    }
    return GuardedNetwork(**{**defaults, **fields})


def applied(wanted):
    """Apply a guard in the current namespace, as a process that ends."""
    with Session() as session:
        return apply_guard(session, Guarding(), wanted)


@dataclass(frozen=True)
class Site:
    """The namespaces; `host` has the bridge."""

    host: Namespace
    a: Namespace
    b: Namespace
    c: Namespace

    def apply(self, wanted):
        return self.host.call(applied, wanted)

    @property
    def ears(self):
        """Where frames are heard: who, and (namespace, device)."""
        return {
            "A": (self.a.name, "eth0"),
            "B": (self.b.name, "eth0"),
            "C": (self.c.name, "eth0"),
            "host": (self.host.name, BRIDGE),
        }


def site(namespaces):
    """Build the whole, as yet without a guard."""
    built = Site(*(namespaces() for _ in range(4)))
    run = built.host.run
    run(
        f"ip link add {BRIDGE} address {GATEWAY.mac} type bridge stp_state 0 "
        "forward_delay 0 group_fwd_mask 0x4000 no_linklocal_learn 1 "
        "mcast_snooping 0"
    )
    run(f"ip address add {GATEWAY.ip}/24 dev {BRIDGE}")
    run(f"ip link set {BRIDGE} up")
    for far, name, who in (
        (built.a, PORT_A, A),
        (built.b, PORT_B, B),
        (built.c, UPLINK, C),
    ):
        plug(built.host, far, name, who)
    return built


def silent_site(namespaces):
    """The same, but nobody has an address: none answers what it gets.

    Nor does bridge-nf hold fragments back until they are whole.
    """
    built = site(namespaces)
    for name in ("iptables", "ip6tables"):
        built.host.run(f"sysctl -qw net.bridge.bridge-nf-call-{name}=0")
    built.host.run(f"ip address flush dev {BRIDGE}")
    for far in (built.a, built.b, built.c):
        far.run("ip address flush dev eth0")
    return built


def plug(host, far, name, who):
    """Put `far` at the end of a new port of the host's bridge."""
    far.run("sysctl -qw net.ipv6.conf.default.accept_dad=0")
    host.run(
        f"ip link add {name} type veth peer name eth0 address {who.mac} "
        f"netns {far.name}"
    )
    far.run(f"ip address add {who.ip}/24 dev eth0")
    far.run("ip link set eth0 up")
    host.run(f"sysctl -qw net.ipv6.conf.{name}.disable_ipv6=1")
    host.run(f"ip link set {name} master {BRIDGE} up")


def acquaint(site):
    """Have everybody learn everybody's true whereabouts."""
    for namespace in (site.a, site.b, site.c):
        for who in (A, B, C, GATEWAY):
            namespace.run("ping", "-c1", "-W2", who.ip, check=False)


def heard(place, voice, frames, *, closing=None):
    """Return {name of a frame: who heard it}, for all of `frames`.

    `voice` is who sends them: a namespace and its Machine.  `closing` is
    who speaks at the end, to all, honestly, by which is known that nothing
    more will come; by default the same.  Neither is listened to.
    """
    speaker, _ = voice
    last, who = closing or voice
    ears = {
        name: ear
        for name, ear in place.ears.items()
        if ear[0] not in (speaker.name, last.name)
    }
    mark = b"fnt-%04d" % LAST
    end = ether(
        BROADCAST, who.mac, ARP, arp(1, who.mac, who.ip, asked=who.ip) + mark
    )
    return place.host.call(_heard, ears, speaker.name, frames, last.name, end)


def text(result):
    """Render what arrived: one line per frame that anybody heard."""
    return "".join(
        f"{name}: {' '.join(who)}\n" for name, who in result.items() if who
    )


def _heard(ears, speaker, frames, last, end):
    # On one processor, frames keep their order.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    listening = {who: _packet_socket(*ear) for who, ear in ears.items()}
    mouth = _packet_socket(speaker, "eth0")
    for number, build in enumerate(frames.values()):
        mouth.send(build(b"fnt-%04d" % number))
    _packet_socket(last, "eth0").send(end)
    names = list(frames)
    result = {name: [] for name in names}
    for who, ear in listening.items():
        for number in sorted(_marks(ear)):
            result[names[number]].append(who)
    return result


def _packet_socket(space, device):
    enter(space)
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, EVERYTHING)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    opened.bind((device, 0))
    return opened


def _marks(ear):
    """The numbers heard before the last one."""
    found = set()
    deadline = time.monotonic() + SECONDS
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([ear], [], [], left)[0]:
            raise AssertionError("the closing frame was not heard")
        data, address = ear.recvfrom(65535)
        match = MARK.search(data)
        if not match or address[2] == OUTGOING:
            continue
        if int(match[1]) == LAST:
            return found
        found.add(int(match[1]))


def generation():
    """The number of nftables transactions so far, in this namespace."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as asking:
        asking.bind((0, 0))
        asking.send(struct.pack("=IHHIII", 20, 10 << 8 | 16, 1, 1, 0, 0))
        answer = asking.recv(8192)
        # nlmsghdr, nfgenmsg, nlattr: then the number.
        return struct.unpack_from(">I", answer, 24)[0]
