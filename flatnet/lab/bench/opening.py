"""First packets of connections between two guests; it runs in the sender.

It takes: the receiver's address and MAC, the receiver's port, the first port
that it sends from, and how many packets.  Each packet is one datagram from
another port, and so the first of a connection.  It prints the microseconds
that one took on its way.

They are sent on a packet socket: a veth hands a packet to the bridge, and the
bridge to the receiver, before the call that sent it has returned, so that the
time of the call is that of the packet.
"""

import socket
import struct
import sys
import time
from pathlib import Path

_DEVICE = "eth0"
_IP_PROTOCOL = 0x0800
_ETHERNET = struct.Struct("!6s6sH")
_IP = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")
_TIME_TO_LIVE, _PROTOCOL = 64, 17


def main() -> int:
    """Send them all."""
    address, mac, port, first, count = sys.argv[1:]
    kernel = socket.socket(
        socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_IP_PROTOCOL)
    )
    kernel.bind((_DEVICE, 0))
    head = _head(_packed(mac), socket.inet_aton(address))
    size = _UDP.size
    frames = [
        head + _UDP.pack(number, int(port), size, 0)
        for number in range(int(first), int(first) + int(count))
    ]
    start = time.monotonic()
    for frame in frames:
        kernel.send(frame)
    print((time.monotonic() - start) * 1e6 / len(frames))
    return 0


def _head(there: bytes, address: bytes) -> bytes:
    """The headers of Ethernet and IP."""
    mine = Path(f"/sys/class/net/{_DEVICE}/address").read_text()
    values = (0x45, 0, _IP.size + _UDP.size, 0, 0, _TIME_TO_LIVE, _PROTOCOL)
    ends = (_own_address(address), address)
    total = _checksum(_IP.pack(*values, 0, *ends))
    ethernet = _ETHERNET.pack(there, _packed(mine), _IP_PROTOCOL)
    return ethernet + _IP.pack(*values, total, *ends)


def _own_address(there: bytes) -> bytes:
    """The address that we have towards another one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect((socket.inet_ntoa(there), 1))
        return socket.inet_aton(asking.getsockname()[0])


def _packed(mac: str) -> bytes:
    return bytes.fromhex(mac.strip().replace(":", ""))


def _checksum(header: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


if __name__ == "__main__":
    sys.exit(main())
