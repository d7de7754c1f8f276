"""The DHCP clients of many guests that boot at the same time.

Each device whose name begins as is said is a guest; a packet socket on it asks
for a lease as a client does that has no address.  It prints JSON: the seconds
until the last one had its own, and those of processor time that it took us.

It takes: the beginning of the names, and the seconds after which it gives up.
"""

import json
import os
import secrets
import selectors
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

_IP_PROTOCOL = 0x0800
_BROADCAST = b"\xff" * 6
_COOKIE = b"\x63\x82\x53\x63"
_DISCOVER, _OFFER, _REQUEST, _ACK = 1, 2, 3, 5
_TYPE, _ADDRESS, _SERVER, _END = 53, 50, 54, 255
_CLIENT_PORT, _SERVER_PORT, _UDP = 68, 67, 17
_BODY = struct.Struct("!BBBBIHH4s4s4s4s16s64x128x")
_IP = struct.Struct("!BBHHHBBH4s4s")
_PORTS = struct.Struct("!HHHH")
_HEADERS = 14 + _IP.size + _PORTS.size
_AGAIN = 2.0
_FRAME = 2048


@dataclass
class Client:
    """One guest: its socket and how far it has come."""

    kernel: socket.socket
    mac: bytes
    number: int = field(default_factory=lambda: secrets.randbits(32))
    asked: bytes = b""
    done: bool = False

    def ask(self) -> None:
        """Send what is due, for the first time or again."""
        self.kernel.send(self.asked)

    def discover(self) -> None:
        self.asked = self._frame(_DISCOVER, b"")
        self.ask()

    def hear(self) -> None:
        """Read one packet, and answer it if it is for us."""
        frame = self.kernel.recv(_FRAME)
        kind, address, server = _answer(frame, self.number)
        if kind == _OFFER:
            self.asked = self._frame(
                _REQUEST,
                bytes((_ADDRESS, 4)) + address + bytes((_SERVER, 4)) + server,
            )
            self.ask()
        elif kind == _ACK:
            self.done = True

    def _frame(self, kind: int, options: bytes) -> bytes:
        none = b"\0" * 4
        body = _BODY.pack(
            *(1, 1, 6, 0, self.number, 0, 0, none, none, none, none),
            self.mac,
        )
        body += _COOKIE + bytes((_TYPE, 1, kind)) + options + bytes((_END,))
        size = _PORTS.size + len(body)
        ports = _PORTS.pack(_CLIENT_PORT, _SERVER_PORT, size, 0)
        head = (0x45, 0, _IP.size + size, 0, 0, 64, _UDP)
        ends = (none, b"\xff" * 4)
        total = _checksum(_IP.pack(*head, 0, *ends))
        ethernet = _BROADCAST + self.mac + struct.pack("!H", _IP_PROTOCOL)
        return ethernet + _IP.pack(*head, total, *ends) + ports + body


def main() -> int:
    """Boot all guests; the status is 1 if one got no lease in time."""
    prefix, seconds = sys.argv[1:]
    clients = [
        _client(name)
        for name in sorted(os.listdir("/sys/class/net"))
        if name.startswith(prefix)
    ]
    start, used = time.monotonic(), time.process_time()
    left = _boot(clients, float(seconds))
    if left:
        print(f"{left} of {len(clients)} got no lease", file=sys.stderr)
        return 1
    took = time.monotonic() - start
    print(json.dumps([took, time.process_time() - used]))
    return 0


def _boot(clients: list[Client], seconds: float) -> int:
    """Let all get a lease; return how many have none in the end."""
    start = time.monotonic()
    again = start + _AGAIN
    with selectors.DefaultSelector() as ready:
        for each in clients:
            ready.register(each.kernel, selectors.EVENT_READ, each)
            each.discover()
        while left := sum(not each.done for each in clients):
            for key, _ in ready.select(_AGAIN):
                key.data.hear()
            now = time.monotonic()
            if now > start + seconds:
                return left
            if now > again:
                again = now + _AGAIN
                for each in clients:
                    if not each.done:
                        each.ask()
    return 0


def _client(device: str) -> Client:
    kernel = socket.socket(
        socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_IP_PROTOCOL)
    )
    kernel.bind((device, _IP_PROTOCOL))
    text = Path(f"/sys/class/net/{device}/address").read_text()
    return Client(kernel, bytes.fromhex(text.strip().replace(":", "")))


def _answer(frame: bytes, number: int) -> tuple[int, bytes, bytes]:
    """Kind, address and server of what a server sent us; 0 for others."""
    none = (0, b"", b"")
    if len(frame) < _HEADERS + _BODY.size or frame[23] != _UDP:
        return none
    _, port, _, _ = _PORTS.unpack_from(frame, 14 + _IP.size)
    body = frame[_HEADERS:]
    if port != _CLIENT_PORT or _BODY.unpack_from(body)[4] != number:
        return none
    options = body[_BODY.size + len(_COOKIE) :]
    found: dict[int, bytes] = {}
    while options and options[0] != _END:
        code, size = options[0], options[1] if options[0] else -1
        found[code] = options[2 : 2 + size]
        options = options[2 + size :]
    kind = int(found.get(_TYPE, b"\0")[0])
    return kind, body[16:20], found.get(_SERVER, b"")


def _checksum(header: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


if __name__ == "__main__":
    sys.exit(main())
