"""Hosts that run dnsmasq, and guests with a real DHCP client.

The packets that no client sends when it is asked to, renewals in any state,
are made here.
"""

import contextlib
import os
import re
import select
import socket
import struct
from dataclasses import replace
from pathlib import Path

from flatnet.apply.dhcp.daemons import Running
from flatnet.apply.dhcp.dhcp import apply_dhcp
from flatnet.apply.dhcp.elsewhere import Elsewhere
from flatnet.apply.dhcp.leases import Leases
from flatnet.apply.dhcp.texts import Texts
from flatnet.state.plan import DhcpServer
from tests.builders import dhcp_host
from tests.effects import DHCP
from tests.waiting import eventually

SCRIPT = """#!/bin/sh
case $1 in bound|renew)
    ip -4 addr flush dev $interface
    ip addr add $ip/$mask dev $interface
    env > {directory}/lease ;;
esac
"""
EVERYONE = "255.255.255.255"
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE = range(1, 8)
MAC_1 = "fa:16:3e:00:00:01"
MAC_2 = "fa:16:3e:00:00:02"


def _in_turn(wanted, rest, **named):
    known = Running(), Texts(), Leases(), Elsewhere(rest)
    return [apply_dhcp(servers, *known, **named) for servers in wanted]


class Host:
    """A host with a bridge, whose dnsmasq is applied in it."""

    def __init__(self, namespace, directory, address="10.0.0.1"):
        self.namespace = namespace
        self.path = directory
        self.ports = 0
        self.config_file = ""
        self.make_bridge(address)
        self.server = DhcpServer(
            bridge="br100",
            address=address,
            cidr="10.0.0.0/24",
            router=address,
            mtu=1450,
            lease_time=3600,
            domain="novalocal",
        )

    def make_bridge(self, address):
        run = self.namespace.run
        run("ip link add br100 type bridge forward_delay 0")
        run(f"ip addr add {address}/24 dev br100")
        run("ip link set br100 up")

    def apply(self, *hosts, server=None):
        """Serve `hosts`, or the server that is given; return changes."""
        wanted = server or replace(self.server, hosts=hosts)
        return self.apply_all(wanted)

    def apply_all(self, *servers, skip=()):
        changes = self.changes(*servers, skip=skip)
        assert changes.failures == (), changes.failures
        return changes.made

    def failure(self, *hosts):
        """Serve `hosts`; return the text of the one failure of it."""
        changes = self.changes(replace(self.server, hosts=hosts))
        (failure,) = changes.failures
        assert failure.subject == DHCP
        return failure.message

    def changes(self, *servers, skip=()):
        (changes,) = self.in_turn(servers, skip=skip)
        return changes

    def in_turn(self, *wanted, skip=(), rest=0.0):
        """Serve some, then others, by one process; return all changes.

        `rest` are the seconds that names of other hosts wait, for each.
        """
        return self.namespace.call(
            _in_turn,
            wanted,
            rest,
            networks_path=str(self.path),
            config_file=self.config_file,
            skip=frozenset(skip),
        )

    def listens(self):
        """The local address of every socket that listens, sorted."""
        sockets = self.namespace.run("ss -Hlntu").splitlines()
        return sorted({each.split()[4] for each in sockets})

    @property
    def pid(self):
        return int((self.path / "flatnet-br100.pid").read_text())

    def enslave(self, device):
        """Make a device a port of the bridge."""
        self.namespace.run(f"ip link set {device} master br100 up")

    def passes(self, device):
        """Whether a port passes packets yet."""
        (port,) = self.namespace.json(f"bridge -j link show dev {device}")
        return port["state"] == "forwarding"

    def guest(self, namespace, mac, directory):
        """Plug a guest in; return what asks for a lease."""
        self.ports += 1
        tap = f"tap{self.ports}"
        self.namespace.run(
            f"ip link add {tap} type veth peer name eth0 netns "
            f"{namespace.name} address {mac}"
        )
        namespace.run("ip link set eth0 up")
        self.enslave(tap)
        eventually(lambda: self.passes(tap))
        return Guest(namespace, directory)


class Guest:
    """A guest with busybox's DHCP client."""

    def __init__(self, namespace, directory):
        directory.mkdir()
        self.namespace = namespace
        self.directory = directory
        self.script = directory / "script"
        self.script.write_text(SCRIPT.format(directory=directory))
        self.script.chmod(0o755)

    def lease(self, *, tries=10, hostname="guest"):
        """Ask; return the answer as a dict, or none if nobody gave one."""
        (self.directory / "lease").unlink(missing_ok=True)
        command = (
            "busybox udhcpc -i eth0 -f -n -q -A 1 -T 1 -O mtu "
            f"-t {tries} -x hostname:{hostname} -s {self.script}"
        )
        self.namespace.run(command, check=False)
        return self._answer()

    def _answer(self):
        path = self.directory / "lease"
        if not path.exists():
            return None
        lines = path.read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def renews(self, address, mac, *, server=EVERYONE):
        """Ask to keep an address; return all answers, see `ask`.

        Everyone is asked by a guest whose server is gone.
        """
        return self.namespace.call(
            ask, mac, kind=REQUEST, address=address, server=server
        )

    def asks(self, name, server):
        """The addresses that a name resolves to at `server`."""
        text = self.namespace.run(
            f"busybox nslookup {name} {server}", check=False
        )
        answer = text.partition("\n\n")[2]
        return re.findall(r"Address: (\S+)|name = (\S+)", answer)


@contextlib.contextmanager
def serving_host(namespaces, directory):
    """A Host 10.0.0.1 whose files dnsmasq can read; nothing is left."""
    for each in (directory, *directory.parents):
        if str(each).startswith("/tmp/"):
            os.chmod(each, each.stat().st_mode | 0o055)
    host = Host(namespaces(), directory / "node1")
    yield host
    host.apply_all()


def ask(
    mac,
    *,
    kind,
    address="0.0.0.0",
    server=EVERYONE,
    quiet=0.3,
    options=b"",
    patience=5,
):
    """Send one message through eth0; return all (kind, address, server).

    `address` is what the client has, none for a DISCOVER.  `quiet` is the
    time in seconds after an answer in which another still counts, and
    `patience` that in which there may be none.
    """
    fixed = struct.pack(
        "!BBBBIHH4s12x16s192x4s",
        *(1, 1, 6, 0, 0x1234, 0, 0x8000 if kind == DISCOVER else 0),
        socket.inet_aton(address),
        bytes.fromhex(mac.replace(":", "")),
        bytes.fromhex("63825363"),
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        asking.bind(("", 68))
        asking.sendto(
            fixed + bytes((53, 1, kind)) + options + b"\xff", (server, 67)
        )
        answers = []
        while select.select([asking], [], [], quiet if answers else patience)[
            0
        ]:
            answers.append(_answer(asking.recv(2048)))
        return answers


def _answer(packet):
    options = {}
    rest = packet[240:]
    while rest and rest[0] != 255:
        options[rest[0]] = rest[2 : 2 + rest[1]]
        rest = rest[2 + rest[1] :] if rest[0] else rest[1:]
    address, server = packet[16:20], options[54]
    return options[53][0], socket.inet_ntoa(address), socket.inet_ntoa(server)


def line(number, name=None):
    return dhcp_host(
        f"fa:16:3e:00:00:{number:02x}", f"10.0.0.{number + 1}", name
    )


def lives(pid):
    """Whether a process runs; one that nobody waited for yet does not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rpartition(")")[2].split()[0] != "Z"
