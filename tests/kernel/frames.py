"""Builders of raw frames and packets, right or wrong as their caller says."""

import ipaddress
import struct
from dataclasses import dataclass

BROADCAST = "ff:ff:ff:ff:ff:ff"
ZERO = "00:00:00:00:00:00"
ARP, IP, IP6, VLAN, QINQ = 0x0806, 0x0800, 0x86DD, 0x8100, 0x88A8


@dataclass(frozen=True)
class Machine:
    """Who sends or gets: MAC, IPv4 and IPv6 link-local address."""

    mac: str
    ip: str
    ip6: str


def mac_bytes(mac):
    return bytes.fromhex(mac.replace(":", ""))


def packed(address):
    return ipaddress.ip_address(address).packed


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ether(destination, source, kind, payload):
    header = mac_bytes(destination) + mac_bytes(source)
    return (header + struct.pack("!H", kind) + payload).ljust(60, b"\0")


def ip(source, destination, protocol, payload, *, fragment=0, options=b""):
    words = 5 + len(options) // 4
    fields = (0x40 | words, 0, words * 4 + len(payload), 7, fragment, 64)
    head = struct.pack("!BBHHHBBH", *fields, protocol, 0)
    addresses = packed(source) + packed(destination)
    total = checksum(head + addresses + options)
    head = struct.pack("!BBHHHBBH", *fields, protocol, total)
    return head + addresses + options + payload


def ip6(source, destination, following, payload):
    head = struct.pack("!IHBB", 6 << 28, len(payload), following, 255)
    return head + packed(source) + packed(destination) + payload


def udp(source_port, destination_port, payload, *, over=None):
    """A UDP header and payload; `over` are the IPv6 addresses."""
    length = 8 + len(payload)
    head = struct.pack("!HHHH", source_port, destination_port, length, 0)
    if over:
        head = head[:6] + struct.pack("!H", _over(over, 17, head + payload))
    return head + payload


def bootp(mac, payload, *, kind=(1, 1, 6)):
    """A BOOTP request's body; `kind` is its op, htype and hlen."""
    head = bytes(kind) + b"\0" + b"\0\0\0\7" + b"\0" * 20
    cookie = b"\x63\x82\x53\x63"
    return head + mac_bytes(mac).ljust(208, b"\0") + cookie + payload


def tcp(source_port, destination_port, payload):
    fields = (source_port, destination_port, 1, 0, 0x50, 2, 1000, 0, 0)
    return struct.pack("!HHIIBBHHH", *fields) + payload


def icmp(kind, payload):
    head = struct.pack("!BBH", kind, 0, 0)
    return head[:2] + struct.pack("!H", checksum(head + payload)) + payload


def icmp6(source, destination, kind, payload):
    head = struct.pack("!BBH", kind, 0, 0)
    total = _over((source, destination), 58, head + payload)
    return head[:2] + struct.pack("!H", total) + payload


def arp(operation, mac, address, *, asked, extra=b"", lengths=(6, 4)):
    head = struct.pack("!HHBBH", 1, IP, *lengths, operation)
    sender = mac_bytes(mac) + packed(address)
    return head + sender + mac_bytes(ZERO) + packed(asked) + extra


def _over(addresses, protocol, payload):
    source, destination = addresses
    pseudo = packed(source) + packed(destination)
    pseudo += struct.pack("!II", len(payload), protocol)
    return checksum(pseudo + payload)
