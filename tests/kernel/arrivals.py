"""Who gets a datagram to a guest, of all who may try."""

import contextlib
import socket

from frames import ARP, BROADCAST, IP, IP6, arp, ether, ip, ip6, udp
from segment import guest

MINE, GUEST, OUTSIDE = "10.0.0.2", "10.0.0.3", "192.0.2.9"
MINE6, GUEST6 = (f"fe80::f816:3eff:fe00:{number}" for number in (1, 2))
# Behind the uplink, and of no network of this host.
STRANGER, STRANGER6 = "198.51.100.9", "2001:db8:9::1"
UPLINK_MAC, OUTSIDE_MAC = "fa:16:3e:00:00:32", "02:00:00:00:09:09"
ALL = {"outside", "uplink", "uplink6", "node", "guest", "guest6"}


def arrived(net, bridge="br100"):
    """The datagrams that get to guest 2, by who sent them and how."""
    net.node.run(
        f"ip neigh replace {GUEST} lladdr {guest(2).mac} dev {bridge}"
    )
    (door,) = net.node.json("ip -j link show ext0")
    guests_mac = (guest(2).mac, guest(1).mac)
    by_uplink = (guest(2).mac, UPLINK_MAC)
    through = (door["address"], OUTSIDE_MAC)
    net.outside.send(frame(through, OUTSIDE, GUEST, "outside"))
    net.other.send(
        frame(by_uplink, STRANGER, GUEST, "uplink"),
        frame(by_uplink, STRANGER6, GUEST6, "uplink6"),
    )
    net.node.call(send, b"marker:node;")
    net.guests[1].send(
        frame(guests_mac, MINE, GUEST, "guest"),
        frame(guests_mac, MINE6, GUEST6, "guest6"),
    )
    ears = net.guests[2]
    ears.seen.clear()
    question = arp(1, guest(1).mac, MINE, asked=GUEST)
    net.guests[1].send(
        ether(BROADCAST, guest(1).mac, ARP, question + b"marker:last;")
    )
    return set(ears.wait_for("last")) - {"last", "ready"}


def frame(macs, source, target, marker):
    """An Ethernet frame with a marker; nobody answers on its port."""
    there, back = macs
    body = f"marker:{marker};".encode()
    if ":" in target:
        inner = udp(5999, 5999, body, over=(source, target))
        return ether(there, back, IP6, ip6(source, target, 17, inner))
    return ether(
        there, back, IP, ip(source, target, 17, udp(5999, 5999, body))
    )


def send(body):
    # What a rule drops is an error of who sent it.
    with (
        contextlib.suppress(PermissionError),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own,
    ):
        own.sendto(body, (GUEST, 5999))
