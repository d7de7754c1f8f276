"""Traffic between two guests; it runs in them.

receive ADDRESS PORT         takes one TCP connection, prints its bytes
send ADDRESS PORT SECONDS    sends by TCP, prints nothing
sink ADDRESS PORT            answers the first datagram, and takes the rest
flood ADDRESS PORT SECONDS   sends small datagrams by UDP once one was answered
"""

import signal
import socket
import sys
import time

LISTENS = "listens"
_CHUNK = bytes(1 << 18)
_DATAGRAM = bytes(18)
_BETWEEN_LOOKS = 100
_PATIENCE = 5.0


def main() -> int:
    """Do what the first word says."""
    act, address, port, *rest = sys.argv[1:]
    there = (address, int(port))
    if act == "receive":
        _receive(there)
    elif act == "sink":
        _sink(there)
    elif act == "send":
        _send(there, float(rest[0]))
    else:
        _flood(there, float(rest[0]))
    return 0


def _receive(here: tuple[str, int]) -> None:
    with socket.create_server(here) as server:
        print(LISTENS, flush=True)
        connection, _ = server.accept()
    total, buffer = 0, bytearray(1 << 20)
    with connection:
        while count := connection.recv_into(buffer):
            total += count
    print(total, flush=True)


def _sink(here: tuple[str, int]) -> None:
    """Hold a port that is open, and answer once.

    What nobody has answered is no connection that is established, but a new
    one with each packet.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(here)
        print(LISTENS, flush=True)
        data, there = server.recvfrom(len(_DATAGRAM))
        server.sendto(data, there)
        signal.pause()


def _send(there: tuple[str, int], seconds: float) -> None:
    end = time.monotonic() + seconds
    with socket.create_connection(there, timeout=seconds) as connection:
        while time.monotonic() < end:
            connection.sendall(_CHUNK)


def _flood(there: tuple[str, int], seconds: float) -> None:
    end = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(there)
        sender.settimeout(_PATIENCE)
        sender.send(_DATAGRAM)
        sender.recv(len(_DATAGRAM))
        # Else each datagram is asked about first.
        sender.settimeout(None)
        while time.monotonic() < end:
            for _ in range(_BETWEEN_LOOKS):
                sender.send(_DATAGRAM)


if __name__ == "__main__":
    sys.exit(main())
