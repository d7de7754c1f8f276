"""Kinds of frames with IPv6, as `frame_kinds` says."""

import struct
from functools import partial

from frames import IP6, ether, icmp6, ip6, udp


def of_ip6(sender, target, other):
    return {
        **_of_packets(sender, target, other),
        **_of_dhcp(sender, target),
        **_of_control(sender, target),
        **_of_fragments(sender, target),
    }


def _of_packets(sender, target, other):
    frame = partial(_frame, mac=sender.mac, to=target.mac)

    def plain(source, destination=target.ip6):
        return lambda mark: _udp6(source, destination, (999, 7777), mark)

    return {
        "ip6 udp": frame(plain(sender.ip6)),
        "ip6 echo": frame(
            lambda mark: _icmp6_packet(sender.ip6, target.ip6, 128, mark)
        ),
        "ip6 later fragment": frame(
            lambda mark: _fragment6(sender.ip6, target.ip6, 17, 800, mark)
        ),
        "ip6 all nodes": frame(
            plain(sender.ip6, "ff02::1"), to="33:33:00:00:00:01"
        ),
        "ip6 of other's ip6": frame(plain(other.ip6)),
        "ip6 of global ip6": frame(plain("2001:db8::1")),
        "ip6 of other": frame(plain(other.ip6), mac=other.mac),
        "ip6 of no ip6": frame(plain("::")),
        "ip6 global, target's mac": frame(plain(sender.ip6, "2001:db8::9")),
    }


def _of_dhcp(sender, target):
    frame = partial(_frame, mac=sender.mac, to=target.mac)
    return {
        "dhcp6 advertise": frame(
            lambda mark: _udp6(sender.ip6, target.ip6, (547, 546), mark)
        ),
        "dhcp6 solicit": frame(
            lambda mark: _udp6(sender.ip6, "ff02::1:2", (546, 547), mark),
            to="33:33:00:01:00:02",
        ),
    }


def _of_control(sender, target):
    frame = partial(_frame, mac=sender.mac, to=target.mac)

    def extended(mark):
        body = icmp6(sender.ip6, target.ip6, 134, mark.ljust(16, b"\0"))
        return ip6(sender.ip6, target.ip6, 60, b"\x3a\0" + b"\0" * 6 + body)

    def split(mark):
        options = b"\x3a\1" + b"\x01\x0c" + mark.ljust(12, b"\0")
        return _fragment6(sender.ip6, target.ip6, 60, 1, options)

    return {
        "router advertisement": frame(
            lambda mark: _icmp6_packet(
                sender.ip6, "ff02::1", 134, b"\x40\0\0\xff" + b"\0" * 8 + mark
            ),
            to="33:33:00:00:00:01",
        ),
        "router advertisement in unicast": frame(
            lambda mark: _icmp6_packet(sender.ip6, target.ip6, 134, mark)
        ),
        "router advertisement behind options": frame(extended),
        "router advertisement, header in 2nd fragment": frame(split),
        "icmp6 redirect": frame(
            lambda mark: _icmp6_packet(sender.ip6, target.ip6, 137, mark)
        ),
        "mld query": frame(
            lambda mark: _icmp6_packet(sender.ip6, "ff02::1", 130, mark),
            to="33:33:00:00:00:01",
        ),
        "mld report": frame(
            lambda mark: _icmp6_packet(sender.ip6, "ff02::16", 143, mark),
            to="33:33:00:00:00:16",
        ),
    }


def _of_fragments(sender, target):
    frame = partial(_frame, mac=sender.mac, to=target.mac)

    def piece(mark, to="ff02::1", offset=16):
        return _fragment6(sender.ip6, to, 58, offset, mark.ljust(16, b"\0"))

    return {
        "router advertisement, later fragment": frame(
            piece, to="33:33:00:00:00:01"
        ),
        "router advertisement, first fragment": frame(
            lambda mark: _fragment6(
                sender.ip6, target.ip6, 58, 1, b"\x86\0\0\0" + mark
            )
        ),
        "options, later fragment": frame(
            lambda mark: _fragment6(sender.ip6, target.ip6, 60, 16, mark)
        ),
        "ip6 fragment behind options": frame(
            lambda mark: ip6(
                sender.ip6,
                target.ip6,
                60,
                b"\x2c\0\1\4\0\0\0\0" + b"\x11\0\0\x10\0\0\0\7" + mark,
            )
        ),
    }


def _frame(packet, *, mac, to):
    return lambda mark: ether(to, mac, IP6, packet(mark))


def _icmp6_packet(source, destination, kind, mark):
    return ip6(source, destination, 58, icmp6(source, destination, kind, mark))


def _udp6(source, destination, ports, mark):
    packet = udp(*ports, mark, over=(source, destination))
    return ip6(source, destination, 17, packet)


def _fragment6(source, destination, following, offset_flags, payload):
    head = struct.pack("!BBHI", following, 0, offset_flags, 9)
    return ip6(source, destination, 44, head + payload)
