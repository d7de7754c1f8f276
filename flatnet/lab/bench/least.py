"""The least work on a host for one filtered guest, by kept sockets."""

import hashlib
import os
import socket
import struct
import subprocess
import time
from pathlib import Path

from flatnet.apply import files, netlink
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.iptables.ipset_messages import (
    SetSocket,
    socket_of_sets,
)
from flatnet.apply.link import taps
from flatnet.apply.link.link import NO_OPENER
from flatnet.apply.netlink import attribute

BRIDGE = "floor0"
_SETS = ("floor-filtered", "floor-members")
_TABLE = """\
table bridge floor {
    set senders { type ifname . ether_addr . ipv4_addr; }
    set receivers { type ether_addr . ipv4_addr; }
}
"""
# From linux/rtnetlink.h and linux/if_link.h.
_NEW_LINK = 16
_LINK = struct.Struct("=BxHiII")
_MAC, _MASTER, _ALIAS, _UP = 1, 10, 20, 1
_LINK_EVENTS = 1
_SECONDS = 10.0
_BUFFER = 1 << 16


class Host:
    """A bridge, two sets, a table of nftables and a hosts file."""

    def __init__(self, directory: Path) -> None:
        for words in (
            f"link add {BRIDGE} type bridge",
            f"link set {BRIDGE} up",
        ):
            subprocess.run(["ip", *words.split()], check=True)
        self._bridge = socket.if_nametoindex(BRIDGE)
        self._kernel = netlink.connected(netlink.ROUTE, _SECONDS)
        self._sets = SetSocket(socket_of_sets())
        for name in _SETS:
            self._sets.create(name, 4)
        self._tables = Session()
        self._tables.run(_TABLE)
        _restore(":floor - [0:0]")
        self._hosts = directory / "hosts"
        self._lines: dict[str, str] = {}

    def hold(self, count: int) -> None:
        """Have so many guests, without ports."""
        before = list(self._lines)
        names = [f"held {number}" for number in range(count)]
        self._lines = {name: _line(name) for name in names}
        for each in _SETS:
            self._sets.delete(each, map(_packed, before))
            self._sets.add(each, map(_packed, names))

    def put(self, name: str) -> None:
        """Filter a guest, make its port, write its line."""
        for each in _SETS:
            self._sets.add(each, [_packed(name)])
        self._tables.run(_elements("add", name))
        tap = _tap(name)
        taps.set_tap(tap, (NO_OPENER, NO_OPENER))
        self._plug(tap, _mac(name))
        self._lines[name] = _line(name)
        self._write()

    def drop(self, name: str) -> None:
        """Take the same away."""
        taps.drop_tap(_tap(name))
        self._tables.run(_elements("delete", name))
        for each in reversed(_SETS):
            self._sets.delete(each, [_packed(name)])
        self._lines.pop(name, None)
        self._write()

    def event_delay(self) -> float:
        """Milliseconds until the kernel tells that a device came."""
        tap = _tap("event")
        with netlink.connected(netlink.ROUTE, _SECONDS) as listener:
            listener.bind((0, _LINK_EVENTS))
            start = time.monotonic()
            taps.set_tap(tap, (NO_OPENER, NO_OPENER))
            listener.recv(_BUFFER)
            took = time.monotonic() - start
        taps.drop_tap(tap)
        return took * 1000

    def add_rule(self, _name: str = "") -> None:
        """Add a rule to a chain of its own, as a group's rules stand."""
        _restore("-A floor -p tcp -j ACCEPT")

    def join(self, name: str) -> None:
        """Add a member to one set."""
        self._sets.add(_SETS[0], [_packed(name)])

    def _plug(self, tap: str, mac: str) -> None:
        """Mark a device, enslave it and set it up, by one message."""
        body = _LINK.pack(0, 0, socket.if_nametoindex(tap), _UP, _UP)
        body += attribute(_MAC, bytes.fromhex(mac.replace(":", "")))
        body += attribute(_ALIAS, f"floor:{tap}".encode())
        body += attribute(_MASTER, struct.pack("=I", self._bridge))
        if code := netlink.acknowledged(self._kernel, _NEW_LINK, body):
            raise OSError(code, os.strerror(code), tap)

    def _write(self) -> None:
        files.replace(str(self._hosts), "".join(self._lines.values()))


def _restore(line: str) -> None:
    subprocess.run(
        ["iptables-restore", "--noflush"],
        input=f"*filter\n{line}\nCOMMIT\n",
        text=True,
        check=True,
    )


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _packed(name: str) -> bytes:
    return b"\x0a" + _digest(name)[:3]


def _address(name: str) -> str:
    return socket.inet_ntoa(_packed(name))


def _mac(name: str) -> str:
    return "fa:16:3e:" + _digest(name)[3:6].hex(":")


def _tap(name: str) -> str:
    return f"tap{_digest(name).hex()[:11]}"


def _line(name: str) -> str:
    return f"{_mac(name)},{_tap(name)}.novalocal,{_address(name)}\n"


def _elements(verb: str, name: str) -> str:
    mac, address = _mac(name), _address(name)
    return (
        f'{verb} element bridge floor senders {{ "{_tap(name)}" . {mac} . '
        f"{address} }}\n"
        f"{verb} element bridge floor receivers {{ {mac} . {address} }}\n"
    )
