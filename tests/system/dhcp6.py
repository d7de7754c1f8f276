"""What a guest says and hears of IPv6, in its own words and others'."""

import contextlib
import json
import socket
import struct

from flatnet.lab import namespaces
from tests import sockets

SECONDS = 5.0
SOLICIT, REQUEST, RENEW, DECLINE = 1, 3, 5, 9
CLIENT, SERVER, IA_NA, IA_ADDRESS = 1, 2, 3, 5
SOLICITATION, ADVERTISEMENT, NEIGHBOUR = 133, 134, 136
_ALL_NODES, _ALL_ROUTERS = "ff02::1", "ff02::2"
_SERVERS = "ff02::1:2"
_IA = bytes.fromhex("000000010000000000000000")
# A router for half an hour, and a prefix that guests take addresses of.
_ROUTER = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
_PREFIX = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 3600, 0)


def addresses(namespace):
    """The global addresses of a guest's eth0."""
    found = json.loads(_ip(namespace, "-j -6 addr show dev eth0 scope global"))
    return {
        each["local"]
        for device in found
        for each in device.get("addr_info", ())
        if "local" in each
    }


def routers(namespace):
    """The gateways of a guest's default routes."""
    found = json.loads(_ip(namespace, "-j -6 route show default"))
    return {each.get("gateway") for each in found}


def _ip(namespace, words):
    return namespaces.run(["ip", "-n", namespace, *words.split()]) or "[]"


def advertisement(prefix):
    """Router advertisement of a prefix."""
    return _ROUTER + _PREFIX + socket.inet_pton(socket.AF_INET6, prefix)


def neighbour(address, mac):
    """Neighbour advertisement: an address is that MAC's, whatever was."""
    head = struct.pack("!BBHI", NEIGHBOUR, 0, 0, 0x20000000)
    target = socket.inet_pton(socket.AF_INET6, address)
    return head + target + b"\2\1" + bytes.fromhex(mac.replace(":", ""))


def say(namespace, message, *, device="eth0", to=_ALL_NODES):
    """Send an ICMPv6 message that only a neighbour can have sent."""
    with sockets.inside(namespace, _icmp, device) as each:
        each.sendto(message, _at(namespace, to, device))


def heard(namespace, speakers, until):
    """Have others speak, then ask for a router; who was heard until it was.

    :param until: the router's address, and what it says is the last
    """
    with sockets.inside(namespace, _icmp, "eth0") as each:
        each.settimeout(SECONDS)
        for speak in speakers:
            speak()
        asked = struct.pack("!BBHI", SOLICITATION, 0, 0, 0)
        each.sendto(asked, _at(namespace, _ALL_ROUTERS, "eth0"))
        found = []
        while True:
            message, (source, *_) = each.recvfrom(2048)
            if message[0] not in (ADVERTISEMENT, NEIGHBOUR):
                continue
            found.append((message[0], source.partition("%")[0]))
            if found[-1] == (ADVERTISEMENT, until):
                return found


class Client:
    """One that asks for an address by DHCPv6, message by message."""

    def __init__(self, namespace, mac):
        self._namespace = namespace
        self._duid = b"\0\3\0\1" + bytes.fromhex(mac.replace(":", ""))
        self.server = b""
        self.address = ""

    def binds(self):
        """Solicit and request: the address that it is given."""
        self.server = b""
        self._ask(SOLICIT, _IA)
        return self._ask(REQUEST, _IA)

    def renews(self):
        """Renew with the server that it knows: its address, or none.

        Who is not that server does not answer.
        """
        held = socket.inet_pton(socket.AF_INET6, self.address) + bytes(8)
        return self._ask(RENEW, _IA + _option(IA_ADDRESS, held))

    def declines(self, address):
        """Say that somebody else has an address; nobody need answer."""
        held = socket.inet_pton(socket.AF_INET6, address) + bytes(8)
        message = self._said(DECLINE, _IA + _option(IA_ADDRESS, held))
        with sockets.inside(self._namespace, _udp, 546) as each:
            each.sendto(message, _at(self._namespace, _SERVERS, "eth0", 547))

    def _said(self, kind, association):
        options = _option(CLIENT, self._duid) + _option(IA_NA, association)
        if self.server:
            options += _option(SERVER, self.server)
        return bytes((kind, 1, 2, 3)) + options

    def _ask(self, kind, association):
        message = self._said(kind, association)
        with sockets.inside(self._namespace, _udp, 546) as each:
            each.settimeout(SECONDS)
            each.sendto(message, _at(self._namespace, _SERVERS, "eth0", 547))
            answer = _options(each.recv(2048)[4:])
        self.server = answer[SERVER]
        within = _options(answer[IA_NA][12:]).get(IA_ADDRESS, bytes(24))
        self.address = socket.inet_ntop(socket.AF_INET6, within[:16])
        (valid,) = struct.unpack("!I", within[20:24])
        return self.address if valid else None


def datagrams(namespace, *sent):
    """What a client's port hears of datagrams that are sent one by one."""
    with sockets.inside(namespace, _udp, 546) as each:
        each.settimeout(SECONDS)
        for send in sent:
            send()
        found = [each.recv(2048)]
        with contextlib.suppress(BlockingIOError):
            each.setblocking(False)
            while True:
                found.append(each.recv(2048))
        return found


def serve(namespace, target, payload, *, device):
    """Send a datagram as a DHCPv6 server does."""
    with sockets.inside(namespace, _udp, 547) as each:
        each.sendto(payload, _at(namespace, target, device, 546))


def _at(namespace, address, device, port=0):
    index = sockets.inside(namespace, socket.if_nametoindex, device)
    return address, port, 0, index


def _icmp(device):
    opened = socket.socket(
        socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6
    )
    opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
    opened.setsockopt(
        socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode()
    )
    return opened


def _udp(port):
    opened = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    opened.bind(("", port))
    return opened


def _option(kind, body):
    return struct.pack("!HH", kind, len(body)) + body


def _options(text):
    found = {}
    while len(text) >= 4:
        kind, length = struct.unpack_from("!HH", text)
        found.setdefault(kind, text[4 : 4 + length])
        text = text[4 + length :]
    return found
