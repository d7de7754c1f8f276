"""Two guests of one host, and what they say to its DHCP server."""

import socket

import guarded
from dhcp_hosts import ACK, DISCOVER, OFFER, REQUEST, ask, line
from guarded import PORT_A, PORT_B, guarded_network, guarded_port

from tests.waiting import eventually

SERVER = "10.0.0.1"
MACS = {number: line(number).mac for number in (1, 2)}
ADDRESSES = {number: line(number).address for number in (1, 2)}


def about(address, *, server=SERVER):
    """The options that name an address and the server."""
    return (
        bytes((50, 4))
        + socket.inet_aton(address)
        + bytes((54, 4))
        + socket.inet_aton(server)
    )


class Pair:
    """Two guests of a host with a guard and a dnsmasq."""

    def __init__(self, host, namespaces):
        self.host = host
        self.guests = {}
        for number, port in ((1, PORT_A), (2, PORT_B)):
            space = self.guests[number] = namespaces()
            host.namespace.run(
                f"ip link add {port} type veth peer name eth0 netns "
                f"{space.name} address {MACS[number]}"
            )
            space.run("ip link set eth0 up")
            space.run(f"ip addr add {ADDRESSES[number]}/24 dev eth0")
            space.run("ip route add default via 10.0.0.1")
            host.enslave(port)
            eventually(lambda port=port: host.passes(port))
        host.apply(line(1), line(2))

    def guard(self):
        ports = tuple(
            guarded_port(
                name, guarded.machine(MACS[number], ADDRESSES[number])
            )
            for number, name in ((1, PORT_A), (2, PORT_B))
        )
        networks = (guarded_network(bridge="br100"),)
        wanted = guarded.guard(*ports, networks=networks)
        self.host.namespace.call(guarded.applied, wanted)

    def says(self, number, *, mac=None, patience=5, **fields):
        return self.guests[number].call(
            ask, mac or MACS[number], patience=patience, **fields
        )

    def gets_its_address(self, number):
        offers = self.says(number, kind=DISCOVER)
        options = about(ADDRESSES[number])
        answers = self.says(number, kind=REQUEST, options=options)
        assert [each[:2] for each in offers + answers] == [
            (OFFER, ADDRESSES[number]),
            (ACK, ADDRESSES[number]),
        ]

    def leases(self):
        text = (self.host.path / "flatnet-br100.leases").read_text()
        return {line.split()[1] for line in text.splitlines()}
