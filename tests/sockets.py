"""Sockets in network namespaces, held by the test process itself.

A socket stays in the namespace that it was made in, so a thread that enters
it, makes the socket and ends is all that is needed: no program per probe,
and nothing that outlives the test.
"""

import contextlib
import ctypes
import errno
import os
import secrets
import select
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor

CLONE_NEWNET = 0x40000000
PATIENCE = 0.6
SECONDS = 10.0


def inside(namespace, function, *arguments):
    """Return `function(*arguments)` as a thread in the namespace sees it."""

    def entered():
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{namespace}", "rb") as handle:
            if libc.setns(handle.fileno(), CLONE_NEWNET):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), namespace)
        return function(*arguments)

    # The thread ends with the block, and with it its stay in there.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(entered).result()


def listener(namespace, port):
    """A TCP socket that listens on a port of the namespace."""
    return inside(namespace, socket.create_server, ("", port))


def receiver(namespace, port):
    """A UDP socket on a port of the namespace."""
    each = inside(namespace, socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
    each.settimeout(SECONDS)
    each.bind(("", port))
    return each


def send(namespace, source, target, payload):
    """Send a datagram from an address; `target` is (address, port)."""
    with inside(
        namespace, socket.socket, socket.AF_INET, socket.SOCK_DGRAM
    ) as each:
        each.bind((source, 0))
        each.sendto(payload, target)


def connection(namespace, target, server):
    """Both ends of a new TCP connection; `server` is the listener."""
    near = inside(namespace, socket.socket)
    near.settimeout(SECONDS)
    server.settimeout(SECONDS)
    try:
        near.connect(target)
        far = server.accept()[0]
    except OSError:
        near.close()
        raise
    return near, far


def passes(sender, reader, *, patience=SECONDS):
    """Whether a byte from one end comes out at the other in time."""
    sender.send(b"x")
    ready, _, _ = select.select([reader], [], [], patience)
    return bool(ready) and bool(reader.recv(100))


def answered(namespace, targets):
    """The targets that answered within PATIENCE, all probed at once.

    A target is (protocol, address, number): a refused port is an answer,
    since somebody is there who says so; for icmp the number is the type.
    """
    return inside(namespace, _answered, frozenset(targets))


def _answered(targets):
    waiting = {_probe(*target): target for target in targets}
    found = set()
    deadline = time.monotonic() + PATIENCE
    while waiting and (left := deadline - time.monotonic()) > 0:
        tcp = [each for each in waiting if each.type == socket.SOCK_STREAM]
        rest = [each for each in waiting if each not in tcp]
        for ready in select.select(rest, tcp, [], left)[:2]:
            for each in ready:
                if _is_answer(each, waiting[each]):
                    found.add(waiting.pop(each))
                    each.close()
    for each in waiting:
        each.close()
    return found


def _probe(protocol, address, number):
    family, _, _, _, there = socket.getaddrinfo(address, None)[0]
    if protocol == "icmp":
        kind = {
            socket.AF_INET: socket.IPPROTO_ICMP,
            socket.AF_INET6: socket.IPPROTO_ICMPV6,
        }[family]
        each = socket.socket(family, socket.SOCK_RAW, kind)
        each.connect((there[0], 0, *there[2:]))
        _try_to_send(each, _echo(number))
        return each
    types = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
    each = socket.socket(family, types[protocol])
    each.setblocking(False)
    each.connect_ex((there[0], number, *there[2:]))
    if protocol == "udp":
        _try_to_send(each, b"?")
    return each


def _try_to_send(each, data):
    # The host itself is told when a rule drops what it sends.
    with contextlib.suppress(PermissionError):
        each.send(data)


def _echo(kind):
    """An ICMP request without data; the kernel sums up those of ICMPv6."""
    # A fresh identifier, or it would belong to the flow of a probe before.
    identifier = secrets.randbelow(0x7000)
    total = (kind << 8) + identifier
    return struct.pack(">BBHHH", kind, 0, 0xFFFF - total, identifier, 0)


def _is_answer(each, target):
    protocol, address, kind = target
    if protocol == "tcp":
        error = each.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return error in (0, errno.ECONNREFUSED)
    try:
        data = each.recv(2048)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    # A raw socket sees neighbour discovery and our own request too.
    first = data[0] if ":" in address else data[(data[0] & 15) * 4]
    return protocol == "udp" or first == {8: 0, 128: 129}[kind]
