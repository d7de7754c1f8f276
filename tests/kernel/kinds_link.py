"""Kinds of frames that hide IP or are none of it, as `frame_kinds` says."""

import struct

from frames import (
    ARP,
    BROADCAST,
    IP,
    IP6,
    QINQ,
    VLAN,
    arp,
    ether,
    ip,
    ip6,
    udp,
)


def of_tags(sender, target):
    def frame(kind, rest):
        return lambda mark: ether(target.mac, sender.mac, kind, rest(mark))

    def plain(mark):
        return ip(sender.ip, target.ip, 17, udp(999, 7777, mark))

    def plain6(mark):
        ends = (sender.ip6, target.ip6)
        return ip6(*ends, 17, udp(999, 7777, mark, over=ends))

    def request(mark):
        return arp(1, sender.mac, sender.ip, asked=target.ip, extra=mark)

    return {
        "802.1q ip": frame(VLAN, _tag(5, IP, plain)),
        "802.1q ip6": frame(VLAN, _tag(5, IP6, plain6)),
        "802.1q arp": frame(VLAN, _tag(5, ARP, request)),
        "802.1q vid 0 ip": frame(VLAN, _tag(0, IP, plain)),
        "802.1q vid 0 ip6": frame(VLAN, _tag(0, IP6, plain6)),
        "802.1q vid 0 arp": frame(VLAN, _tag(0, ARP, request)),
        "vid 0 in vid 0 ip": frame(VLAN, _tag(0, VLAN, _tag(0, IP, plain))),
        "802.1q in 802.1q": frame(VLAN, _tag(5, VLAN, _tag(6, IP, plain))),
        "qinq": frame(QINQ, _tag(5, VLAN, _tag(6, IP, plain))),
        "802.1ad vid 0 ip": frame(QINQ, _tag(0, IP, plain)),
        "0x9100 ip": frame(0x9100, _tag(5, IP, plain)),
        "pppoe ip": frame(0x8864, _pppoe(0x21, plain)),
        "pppoe ip6": frame(0x8864, _pppoe(0x57, plain6)),
        "pppoe discovery": frame(0x8863, _pppoe(0, lambda mark: mark)),
        "802.1q pppoe ip": frame(VLAN, _tag(5, 0x8864, _pppoe(0x21, plain))),
        "mpls ip": frame(0x8847, lambda mark: b"\0\1\x01\x40" + plain(mark)),
    }


def of_ethertypes(sender, target):
    def frame(kind, head=b"", to=target.mac):
        return lambda mark: ether(to, sender.mac, kind, head + mark)

    def sized(head, to=target.mac):
        return lambda mark: ether(
            to, sender.mac, len(head + mark), head + mark
        )

    types = {
        "rarp": 0x8035,
        "experimental": 0x88B5,
        "wake on lan": 0x0842,
        "ptp": 0x88F7,
        "aoe": 0x88A2,
        "tipc": 0x88CA,
        "macsec": 0x88E5,
        "eapol": 0x888E,
        "profinet": 0x8892,
        "fcoe": 0x8906,
        "loopback test": 0x9000,
    }
    snap = b"\xaa\xaa\x03\0\0\0"
    return {
        **{name: frame(kind) for name, kind in types.items()},
        "experimental broadcast": frame(0x88B5, b"", BROADCAST),
        "llc ipx": sized(b"\xe0\xe0\x03"),
        "snap ip": sized(
            snap + b"\x08\0" + ip(sender.ip, target.ip, 17, b"12345678")
        ),
        "snap arp": sized(
            snap + b"\x08\x06" + arp(1, sender.mac, sender.ip, asked=target.ip)
        ),
        "cdp": sized(b"\xaa\xaa\x03\0\0\x0c\x20\0", "01:00:0c:cc:cc:cc"),
        "pvst": sized(b"\xaa\xaa\x03\0\0\x0c\x01\x0b", "01:00:0c:cc:cc:cd"),
    }


def of_groups(sender, target, other):
    found = {
        "stp": lambda mark: ether(
            "01:80:c2:00:00:00",
            sender.mac,
            7 + len(mark),
            b"\x42\x42\x03\0\0\0\0" + mark,
        ),
        "lldp": lambda mark: ether(
            "01:80:c2:00:00:0e", sender.mac, 0x88CC, mark
        ),
    }

    def to(last):
        group = f"01:80:c2:00:00:{last:02x}"

        def packet(mark):
            body = ip(sender.ip, target.ip, 17, udp(999, 7777, mark))
            return ether(group, sender.mac, IP, body)

        def question(mark):
            body = arp(1, sender.mac, "10.0.0.77", asked=target.ip, extra=mark)
            return ether(group, other.mac, ARP, body)

        return packet, question

    for last in (0x00, 0x02, 0x03, 0x0D, 0x0E, 0x0F):
        found[f"ip to group {last:02x}"], found[f"arp to group {last:02x}"] = (
            to(last)
        )
    return found


def _tag(vid, inner, body):
    return lambda mark: struct.pack("!HH", vid, inner) + body(mark)


def _pppoe(protocol, body):
    def rest(mark):
        packet = struct.pack("!H", protocol) + body(mark)
        return struct.pack("!BBHH", 0x11, 0, 1, len(packet)) + packet

    return rest
