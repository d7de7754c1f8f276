"""How much gets from one host to another, as who receives it counts it."""

import json
import sys

_RECEIVE = """
import json, socket, sys, time
kind, address, port, seconds = sys.argv[1:]
kind, seconds = getattr(socket, kind), float(seconds)
end = socket.socket(socket.AF_INET, kind)
end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
end.settimeout(10)
end.bind((address, int(port)))
if kind is socket.SOCK_STREAM:
    end.listen()
print("ready", flush=True)
if kind is socket.SOCK_STREAM:
    end, _ = end.accept()
# What is sent at once, before the rate is reached, is not counted.
end.recv(65536)
start = time.monotonic()
while time.monotonic() < start + 0.3:
    end.recv(65536)
start, got = time.monotonic(), 0
while (now := time.monotonic()) < start + seconds:
    got += len(end.recv(65536))
print(json.dumps(got * 8 / (now - start)), flush=True)
"""
_SEND = """
import socket, sys
kind, address, port = sys.argv[1:]
end = socket.socket(socket.AF_INET, getattr(socket, kind))
end.connect((address, int(port)))
data = bytes(1472 if kind == "SOCK_DGRAM" else 65536)
while True:
    try:
        end.send(data)
    except ConnectionError:
        if kind == "SOCK_STREAM":
            break
"""


def measured(to, sender, address, *, kind="SOCK_STREAM", seconds=1.0):
    """Return the bit/s of payload that arrive at an address of `to`."""
    receiving = to.start(
        *(sys.executable, "-c", _RECEIVE),
        *(kind, address, "5001", str(seconds)),
        stdout=-1,
        text=True,
    )
    with receiving.stdout:
        assert receiving.stdout.readline() == "ready\n"
        sending = sender.start(
            *(sys.executable, "-c", _SEND, kind, address, "5001")
        )
        try:
            return json.loads(receiving.stdout.readline())
        finally:
            sending.kill()
            sending.wait()
            receiving.wait()
