"""Multicast and broadcast between guests of a cloud: who hears what."""

import select
import socket
import time

from tests import sockets

PORT = 5007
UDP, VRRP = "239.1.2.3", "224.0.0.18"
TARGETS = (UDP, "255.255.255.255", "10.0.0.255")
PATIENCE = 0.6


def heard(cloud, source):
    """What of a guest's arrives, as (who hears it, for which address).

    Of hosts its own is asked: to any other it is a machine of the segment.
    """
    ears = {}
    sender = cloud.guests[source]
    deaf = {source, "outside", "node1", "node2"} - {sender.node.name}
    for name, space in cloud.namespaces.items():
        if name not in deaf:
            device = "br100" if name.startswith("node") else "eth0"
            for ear in sockets.inside(space, _ears, device):
                ears[ear] = name
    sockets.inside(sender.guest.namespace, _speak, sender.address)
    found = set()
    end = time.monotonic() + PATIENCE
    while (left := end - time.monotonic()) > 0:
        for ear in select.select([*ears], [], [], left)[0]:
            target = ear.recv(100)[-20:].strip().decode()
            found.add((ears[ear], target))
    for ear in ears:
        ear.close()
    return found


def _ears(device):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("", PORT))
    vrrp = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
    index = socket.if_nametoindex(device).to_bytes(4, "little")
    for each, group in ((udp, UDP), (vrrp, VRRP)):
        joins = socket.inet_aton(group) + bytes(4) + index
        each.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joins)
    return udp, vrrp


def _speak(address):
    for target in (*TARGETS, VRRP):
        kind = (socket.SOCK_DGRAM, 0)
        if target == VRRP:
            kind = (socket.SOCK_RAW, 112)
        with socket.socket(socket.AF_INET, *kind) as mouth:
            mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            mouth.bind((address, 0))
            by = socket.inet_aton(address)
            mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, by)
            mouth.sendto(target.rjust(20).encode(), (target, PORT))
