"""Addresses that their own guests declined, heard on the bridge.

A guest that finds its address in use says so (DHCPDECLINE), and dnsmasq then
gives it to nobody for ten minutes, or until it reads its files again.  It
tells nobody of it but the system's log.  So we listen for the message where
it reaches the host; the guard has seen to it by then that its sender speaks
for itself.  It may still say anything: what counts is what dnsmasq heeds, a
guest that declines its own address of this server, and no more is kept than
there are such guests.

Given up: what is said while no worker listens.  A new worker has dnsmasq
read its files again, so that nothing stands that nobody knows of.
"""

import contextlib
import socket
import time
from collections.abc import Iterable

from flatnet.apply.link.packets import ear
from flatnet.state.plan import DhcpServer
from flatnet.state.taken_addresses import Declined

_IP = 0x0800
# struct sock_filter: IPv4, UDP, not a later fragment, destination port 67;
# as `tcpdump -dd "udp dst port 67"` has it for what Ethernet carries.
_FILTER = (
    (0x28, 0, 0, 12),
    (0x15, 0, 8, 0x0800),
    (0x30, 0, 0, 23),
    (0x15, 0, 6, 17),
    (0x28, 0, 0, 20),
    (0x45, 4, 0, 0x1FFF),
    (0xB1, 0, 0, 14),
    (0x48, 0, 0, 16),
    (0x15, 0, 1, 67),
    (0x06, 0, 0, 2048),
    (0x06, 0, 0, 0),
)
_COOKIE = b"\x63\x82\x53\x63"
_UDP = 8
_CHADDR, _OPTIONS = 28, 236
_MESSAGE_TYPE, _DECLINE = 53, b"\4"
_REQUESTED, _SERVER, _END, _PADDING = 50, 54, 255, 0
# Seconds for which dnsmasq withholds what was declined.
WITHHELD = 600


class Declines:
    """What is declined on some bridges since one listens there."""

    def __init__(self) -> None:
        self._ears: dict[str, socket.socket] = {}
        self._indexes: dict[str, int] = {}
        self._servers: dict[str, str] = {}
        self._served: tuple[DhcpServer, ...] = ()
        # Made of these when somebody declines, which is seldom.
        self._hosts: frozenset[Declined] | None = None
        self._until: dict[Declined, float] = {}

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """What becomes readable when somebody speaks to a DHCP server."""
        return tuple(self._ears.values())

    @property
    def known(self) -> tuple[Declined, ...]:
        """What is withheld now, sorted."""
        now = time.monotonic()
        return tuple(
            sorted(
                (each for each, until in self._until.items() if until > now),
                key=lambda each: (each.bridge, each.address),
            )
        )

    def listen(self, servers: tuple[DhcpServer, ...]) -> None:
        """Listen for the guests of these servers, and for nobody else.

        A bridge that does not exist is passed over.
        """
        self._servers = {each.bridge: each.address for each in servers}
        self._served, self._hosts = servers, None
        self._until = {
            each: until
            for each, until in self._until.items()
            if self._is_host(each)
        }
        for bridge in self._ears.keys() - self._servers.keys():
            self._ears.pop(bridge).close()
            self._indexes.pop(bridge)
        for bridge in sorted(self._servers):
            try:
                index = socket.if_nametoindex(bridge)
            except OSError:
                index = 0
            # A device of the same name may be another by now.
            if index == self._indexes.get(bridge):
                continue
            if bridge in self._ears:
                self._ears.pop(bridge).close()
            self._indexes[bridge] = index
            if index:
                self._ears[bridge] = ear(bridge, kind=_IP, program=_FILTER)

    def drain(self) -> bool:
        """Hear what was said; return whether anything was declined anew."""
        before = self.known
        until = time.monotonic() + WITHHELD
        for bridge, each in self._ears.items():
            with contextlib.suppress(BlockingIOError, OSError):
                while True:
                    found = declined(each.recv(2048), self._servers[bridge])
                    said = Declined(bridge, *found) if found else None
                    if said and self._is_host(said):
                        self._until[said] = until
        return not {*self.known} <= {*before}

    def _is_host(self, said: Declined) -> bool:
        """Whether it is about an instance's own address."""
        if self._hosts is None:
            self._hosts = frozenset(
                Declined(server.bridge, host.address, host.mac)
                for server in self._served
                for host in server.hosts
            )
        return said in self._hosts

    def forget(self, bridges: Iterable[str]) -> None:
        """Note that the servers of these bridges have read their files."""
        gone = frozenset(bridges)
        self._until = {
            each: until
            for each, until in self._until.items()
            if each.bridge not in gone
        }


def declined(frame: bytes, server: str) -> tuple[str, str] | None:
    """Return (address, MAC) that a frame declines, none if it does not.

    `server` is the address of whom it must be said to; dnsmasq heeds no
    message that names another or nobody.

    >>> declined(b"anything", "10.0.0.1")
    """
    body = (
        frame[14 + (frame[14] & 15) * 4 + _UDP :] if len(frame) > 14 else b""
    )
    options = body[_OPTIONS:]
    if not options.startswith(_COOKIE):
        return None
    found = _read(options[len(_COOKIE) :])
    address = found.get(_REQUESTED, b"")
    if (
        found.get(_MESSAGE_TYPE) != _DECLINE
        or found.get(_SERVER) != socket.inet_aton(server)
        or len(address) != 4
    ):
        return None
    mac = body[_CHADDR : _CHADDR + 6].hex(":")
    return socket.inet_ntoa(address), mac


def _read(options: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while options and options[0] != _END:
        if options[0] == _PADDING:
            options = options[1:]
            continue
        if len(options) < 2:
            break
        length = options[1]
        found.setdefault(options[0], options[2 : 2 + length])
        options = options[2 + length :]
    return found
