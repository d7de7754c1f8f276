"""Which names a host's DNS server knows; it runs on the host.

It takes: the server's address, the number of names that are to be known (all
of them, or 0), and the names.  It asks until that is so, for some seconds at
most, and prints JSON: the address of each name that is known.

dnsmasq reads its files of names and of DHCP's hosts at the same signal, and
answers nobody in between: who is known by name gets his lease.
"""

import json
import socket
import struct
import sys
import time

_SECONDS = 5.0
_POLL_SECONDS = 0.002
_PORT, _A, _INTERNET, _RECURSIVE = 53, 1, 1, 0x0100
_HEADER = struct.Struct("!6H")
_NO_ERROR, _STATUS = 0, 0xF
_MOST = 512


def main() -> int:
    """Ask, and print what is known."""
    address, count, *names = sys.argv[1:]
    end = time.monotonic() + _SECONDS
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(_SECONDS)
        asking.connect((address, _PORT))
        while True:
            known = _known(asking, names)
            if len(known) == int(count) or time.monotonic() > end:
                break
            time.sleep(_POLL_SECONDS)
    print(json.dumps(known))
    return 0


def _known(asking: socket.socket, names: list[str]) -> dict[str, str]:
    found = {name: _address(asking, name) for name in names}
    return {name: address for name, address in found.items() if address}


def _address(asking: socket.socket, name: str) -> str:
    """The address of a name, or nothing."""
    labels = b"".join(
        bytes([len(part)]) + part.encode() for part in name.split(".")
    )
    asking.send(
        _HEADER.pack(1, _RECURSIVE, 1, 0, 0, 0)
        + labels
        + b"\0"
        + struct.pack("!2H", _A, _INTERNET)
    )
    answer = asking.recv(_MOST)
    _, flags, _, count, _, _ = _HEADER.unpack_from(answer)
    if flags & _STATUS != _NO_ERROR or not count:
        return ""
    # An A record ends with the address, and there is one.
    return socket.inet_ntoa(answer[-4:])


if __name__ == "__main__":
    sys.exit(main())
