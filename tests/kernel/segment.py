"""A compute node as a namespace: guests on its bridge, others around it.

    outside 192.0.2.9 --- ext0 node br100 10.0.0.1 --- guests 10.0.0.2, .3, .4
                                      up0 ------------ other 10.0.0.50

`other` stands for another host's guest, behind the uplink.  Everybody
answers TCP and UDP on PORTS, and reports the markers of frames it sees.
"""

import contextlib
import select
import socket
import struct
import sys
import time

from namespaces import fresh_namespace

from tests.builders import interface

PORTS = (22, 80, 5000)
PATIENCE = 0.7
NUMBERS = (1, 2, 3)

SERVER = """
import select, socket, sys
readers = {}
for port in map(int, sys.argv[1:]):
    tcp = socket.create_server(("::", port), family=socket.AF_INET6,
                               dualstack_ipv6=True)
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    udp.bind(("::", port))
    readers[tcp] = readers[udp] = None
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
readers[raw] = None
print("ready", flush=True)
kept = []
while True:
    for each in select.select(list(readers), [], [])[0]:
        if each is raw:
            data, where = each.recvfrom(2048)
            at = data.find(b"marker:")
            if at >= 0 and where[2] != socket.PACKET_OUTGOING:
                print(data[at + 7:].split(b";")[0].decode(), flush=True)
        elif each.type == socket.SOCK_STREAM:
            kept = [*kept, each.accept()[0]][-50:]
        else:
            data, peer = each.recvfrom(2048)
            each.sendto(peer[0].encode(), peer)
"""


def guest(number, **fields):
    """The row of a guest whose name is unique in 11 characters."""
    uuid = f"0000000{number}-0000-4000-8000-000000000000"
    return interface(number, uuid=uuid, **fields)


class Host:
    """A namespace with its server; `seen` are the markers it reported."""

    def __init__(self, namespace):
        self.namespace = namespace
        self.seen = []
        command = (sys.executable, "-c", SERVER, *map(str, PORTS))
        # Unbuffered, or select would not see lines that were read ahead.
        self.server = namespace.start(*command, stdout=-1, bufsize=0)
        self.wait_for("ready")

    def wait_for(self, marker):
        """Read markers until this one came; return all so far."""
        deadline = time.monotonic() + 10
        while marker not in self.seen:
            left = max(0, deadline - time.monotonic())
            ready, _, _ = select.select([self.server.stdout], [], [], left)
            assert ready, f"{marker} never came, but {self.seen}"
            self.seen += self.server.stdout.read(65536).decode().split()
        return self.seen

    def reaches(self, *targets):
        """Which of (protocol, address, port) answer, probed together."""
        return self.namespace.call(probe, targets)

    def send(self, *frames):
        """Send whole Ethernet frames by eth0."""
        self.namespace.call(send_frames, frames)


class Segment:
    """The node, its guests by number, `other` and `outside`."""

    def __init__(self, stack):
        self.node = stack.enter_context(fresh_namespace())
        node = self.node
        node.run("ip link add br100 address 02:00:00:00:01:00 type bridge")
        node.run("ip addr add 10.0.0.1/24 dev br100")
        node.run("ip link set br100 up")
        for name in ("iptables", "ip6tables"):
            node.run(f"sysctl -qw net.bridge.bridge-nf-call-{name}=1")
        node.run("sysctl -qw net.ipv4.ip_forward=1")
        self.guests = {
            number: self._attach(
                stack,
                f"tap{guest(number).uuid[:11]}",
                guest(number).mac,
                f"10.0.0.{number + 1}/24",
            )
            for number in NUMBERS
        }
        self.other = self._attach(
            stack, "up0", "fa:16:3e:00:00:32", "10.0.0.50/24"
        )
        self.outside = self._attach(
            stack, "ext0", "02:00:00:00:09:09", "192.0.2.9/24", bridge=None
        )
        node.run("ip addr add 192.0.2.1/24 dev ext0")

    def _attach(self, stack, port, mac, address, bridge="br100"):
        space = stack.enter_context(fresh_namespace())
        self.node.run(
            f"ip link add {port} type veth peer name eth0 "
            f"address {mac} netns {space.name}"
        )
        if bridge:
            self.node.run(f"ip link set {port} master {bridge}")
        self.node.run(f"ip link set {port} up")
        # No duplicate address detection: it takes a second, and what is
        # tested starts when addresses are there.
        space.run("sysctl -qw net.ipv6.conf.eth0.accept_dad=0")
        space.run("sysctl -qw net.ipv6.conf.eth0.addr_gen_mode=0")
        space.run("sysctl -qw net.ipv4.icmp_echo_ignore_broadcasts=0")
        space.run(f"ip addr add {address} dev eth0")
        space.run("ip link set eth0 up")
        if bridge:
            space.run("ip route add default via 10.0.0.1")
        else:
            space.run("ip route add 10.0.0.0/24 via 192.0.2.1")
        return Host(space)


@contextlib.contextmanager
def segment():
    """A Segment; all of it is gone afterwards."""
    with contextlib.ExitStack() as stack:
        yield Segment(stack)


def link_local(number):
    """The link-local address of a guest, as seen on another's eth0."""
    return f"fe80::f816:3eff:fe00:{number:x}%eth0"


def udp_frame(source, target, payload, *, macs):
    """An Ethernet frame with UDP; `macs` are (to, from).

    Nobody answers on its port: two servers that did would go on answering
    each other, and what they say would count as established.
    """
    body = payload.encode()
    udp = struct.pack(">HHHH", 5999, 5999, 8 + len(body), 0) + body
    head = struct.pack(
        ">BBHHHBBH4s4s",
        *(0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0),
        socket.inet_aton(source),
        socket.inet_aton(target),
    )
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack(">H", 0xFFFF - total) + head[12:]
    return ethernet(0x0800, head + udp, macs=macs)


def ethernet(kind, body, *, macs):
    """An Ethernet frame; `macs` are (to, from)."""
    there, back = (bytes.fromhex(mac.replace(":", "")) for mac in macs)
    return there + back + struct.pack(">H", kind) + body


def send_frames(frames):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("eth0", 0))
        for frame in frames:
            raw.send(frame)


def probe(targets):
    """Probe all targets at once; return the answers by target.

    UDP answers are the address that the server saw, ICMP ones the type of
    the reply, TCP ones `open`.
    """
    waiting = {_probe(*target): target for target in targets}
    answers = {}
    deadline = time.monotonic() + PATIENCE
    while waiting and (left := deadline - time.monotonic()) > 0:
        tcp = [each for each in waiting if each.type == socket.SOCK_STREAM]
        rest = [each for each in waiting if each not in tcp]
        readable, writable, _ = select.select(rest, tcp, [], left)
        for each in (*readable, *writable):
            answer = _answer(each, waiting[each])
            if answer:
                answers[waiting.pop(each)] = answer
    for each in waiting:
        each.close()
    return answers


def _probe(protocol, address, number):
    family, _, _, _, there = socket.getaddrinfo(address, None)[0]
    place = (there[0], number, *there[2:])
    if protocol == "tcp":
        each = socket.socket(family, socket.SOCK_STREAM)
        each.setblocking(False)
        each.connect_ex(place)
    elif protocol == "udp":
        each = socket.socket(family, socket.SOCK_DGRAM)
        # The host itself learns at once that a rule drops what it sends.
        with contextlib.suppress(PermissionError):
            each.sendto(b"?", place)
    else:
        kind = "icmp" if family == socket.AF_INET else "ipv6-icmp"
        raw = socket.getprotobyname(kind)
        each = socket.socket(family, socket.SOCK_RAW, raw)
        each.connect((there[0], 0, *there[2:]))
        body = struct.pack(">BBHHH", number, 0, 0, 7, 1) + b"\0" * 12
        total = sum(struct.unpack(f">{len(body) // 2}H", body))
        checksum = 0xFFFF - ((total & 0xFFFF) + (total >> 16))
        with contextlib.suppress(PermissionError):
            each.send(body[:2] + struct.pack(">H", checksum) + body[4:])
    return each


def _answer(each, target):
    if target[0] == "tcp":
        error = each.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        each.close()
        return "open" if not error else f"error {error}"
    try:
        data = each.recv(2048)
    except OSError as error:
        return f"error {error.errno}"
    if target[0] == "udp":
        return data.decode().removeprefix("::ffff:")
    kind = data[(data[0] & 15) * 4] if ":" not in target[1] else data[0]
    # Our own request is seen too where the target is ourselves, and
    # neighbour discovery always.
    replies = {8: 0, 13: 14, 128: 129}
    return "reply" if kind == replies[target[2]] else ""
