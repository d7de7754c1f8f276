"""A machine on the segment that says it has an address."""

from frames import ARP, BROADCAST, arp, ether

STRANGER = "52:54:00:00:00:99"


def beyond_uplink(namespaces):
    """A host with an uplink, and a machine that has 10.0.0.1 beyond it."""
    host, other = namespaces(), namespaces()
    host.run(f"ip link add eth1 type veth peer name eth0 netns {other.name}")
    other.run(f"ip link set eth0 address {STRANGER} up")
    other.run("ip addr add 10.0.0.1/24 dev eth0")
    return host, other


def frame(sender, source, target, *, operation=1):
    """ARP of a machine; a request asks and a reply (2) answers."""
    body = arp(operation, sender, source, asked=target)
    return ether(BROADCAST, sender, ARP, body)
