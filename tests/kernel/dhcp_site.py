"""A host whose dnsmasq is applied, and guests with a real DHCP client."""

import re
from dataclasses import replace

from flatnet.apply.dhcp import apply_dhcp
from flatnet.state import DhcpServer

SCRIPT = """#!/bin/sh
case $1 in bound|renew)
    ip -4 addr flush dev $interface
    ip addr add $ip/$mask dev $interface
    env > {directory}/lease ;;
esac
"""


class Host:
    """A host with a bridge, whose dnsmasq is applied in it."""

    def __init__(self, namespace, directory, address="10.0.0.1"):
        self.namespace = namespace
        self.path = directory
        self.ports = 0
        namespace.run("ip link add br100 type bridge forward_delay 0")
        namespace.run(f"ip addr add {address}/24 dev br100")
        namespace.run("ip link set br100 up")
        self.server = DhcpServer(
            bridge="br100",
            address=address,
            cidr="10.0.0.0/24",
            router=address,
            mtu=1450,
            lease_time=3600,
            domain="novalocal",
        )

    def apply(self, *hosts, server=None):
        """Serve `hosts`, or the server that is given; return changes."""
        wanted = server or replace(self.server, hosts=hosts)
        return self.apply_all(wanted)

    def apply_all(self, *servers):
        changes = self.namespace.call(
            apply_dhcp,
            servers,
            networks_path=str(self.path),
            config_file="",
            skip=frozenset(),
        )
        assert changes.failures == ()
        return changes.made

    @property
    def pid(self):
        return int((self.path / "flatnet-br100.pid").read_text())

    def guest(self, namespace, mac, directory):
        """Plug a guest in; return what asks for a lease."""
        self.ports += 1
        tap = f"tap{self.ports}"
        self.namespace.run(
            f"ip link add {tap} type veth peer name eth0 netns "
            f"{namespace.name} address {mac}"
        )
        self.namespace.run(f"ip link set {tap} master br100 up")
        namespace.run("ip link set eth0 up")
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

    def lease(self, *, tries=10):
        """Ask; return the answer as a dict, or none if nobody gave one."""
        (self.directory / "lease").unlink(missing_ok=True)
        command = (
            "busybox udhcpc -i eth0 -f -n -q -A 1 -T 1 -O mtu "
            f"-t {tries} -s {self.script}"
        )
        self.namespace.run(command, check=False)
        return self._answer()

    def _answer(self):
        path = self.directory / "lease"
        if not path.exists():
            return None
        lines = path.read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def asks(self, name, server):
        """The addresses that a name resolves to at `server`."""
        text = self.namespace.run(
            f"busybox nslookup {name} {server}", check=False
        )
        answer = text.partition("\n\n")[2]
        return re.findall(r"Address: (\S+)|name = (\S+)", answer)
