"""Every kind of frame that a machine may try, honest or forged.

Each is sent by `sender` towards `target`; where one is forged it uses the
identity of `other`, a guest of the same bridge.  All carry a mark, by which
receivers know them.
"""

import struct

from frames import (
    ARP,
    BROADCAST,
    IP,
    IP6,
    QINQ,
    VLAN,
    ZERO,
    arp,
    ether,
    icmp,
    icmp6,
    ip,
    ip6,
    packed,
    tcp,
    udp,
)


def _discovery(source, destination, kind, target, mark):
    """A neighbour message on `target` with the mark as an unknown option."""
    body = struct.pack("!I", 0x60000000 if kind == 136 else 0)
    option = struct.pack("!BB", 200, 2) + mark.ljust(14, b"\0")
    body += packed(target) + option
    return ip6(source, destination, 58, icmp6(source, destination, kind, body))


def _icmp6_packet(source, destination, kind, mark):
    return ip6(source, destination, 58, icmp6(source, destination, kind, mark))


def _udp6(source, destination, ports, mark):
    packet = udp(*ports, mark, over=(source, destination))
    return ip6(source, destination, 17, packet)


def _fragment6(source, destination, following, offset_flags, payload):
    head = struct.pack("!BBHI", following, 0, offset_flags, 9)
    return ip6(source, destination, 44, head + payload)


def kinds(sender, target, other):
    """Return {name: function from a mark to a frame}, honest ones first."""
    return {
        **_of_arp(sender, target, other),
        **_of_ip(sender, target, other),
        **_of_dhcp(sender, target),
        **_of_ip6(sender, target, other),
        **_of_discovery(sender, target, other),
        **_of_tags(sender, target),
        **_of_ethertypes(sender, target),
        **_of_groups(sender, target, other),
        # Last, because a bridge that learns it keeps the rest from target.
        "ip of target's mac": lambda mark: ether(
            BROADCAST,
            target.mac,
            IP,
            ip(sender.ip, target.ip, 17, udp(999, 7777, mark)),
        ),
    }


def _of_arp(sender, target, other):
    def frame(body, to=BROADCAST, mac=sender.mac):
        return lambda mark: ether(to, mac, ARP, body(mark))

    def says(operation, mac, address, **fields):
        return lambda mark: arp(
            operation, mac, address, asked=target.ip, extra=mark, **fields
        )

    return {
        "arp request": frame(says(1, sender.mac, sender.ip)),
        "arp reply": frame(says(2, sender.mac, sender.ip), target.mac),
        "arp probe": frame(
            lambda mark: arp(
                1, sender.mac, "0.0.0.0", asked=sender.ip, extra=mark
            )
        ),
        "arp probe for target's ip": frame(says(1, sender.mac, "0.0.0.0")),
        "arp probe for other's ip": frame(
            lambda mark: arp(
                1, sender.mac, "0.0.0.0", asked=other.ip, extra=mark
            )
        ),
        "arp reply from nowhere": frame(says(2, sender.mac, "0.0.0.0")),
        "arp of other's ip": frame(says(1, sender.mac, other.ip)),
        "arp reply of other's ip": frame(
            says(2, sender.mac, other.ip), target.mac
        ),
        "arp of target's ip": frame(says(2, sender.mac, target.ip)),
        "arp of other's mac": frame(says(1, other.mac, sender.ip)),
        "arp of other": frame(says(2, other.mac, other.ip)),
        "arp by other": frame(
            says(2, other.mac, other.ip), BROADCAST, other.mac
        ),
        "arp odd lengths": frame(
            says(1, sender.mac, sender.ip, lengths=(8, 4))
        ),
        "arp rarp operation": frame(says(3, sender.mac, sender.ip)),
        "arp truncated": lambda mark: ether(
            BROADCAST,
            sender.mac,
            ARP,
            arp(1, sender.mac, other.ip, asked=target.ip)[:12] + mark,
        )[:34],
    }


def _of_ip(sender, target, other):
    def frame(packet, to=target.mac, mac=sender.mac):
        return lambda mark: ether(to, mac, IP, packet(mark))

    def plain(source, destination=target.ip, **fields):
        return lambda mark: ip(
            source, destination, 17, udp(999, 7777, mark), **fields
        )

    def carrying(protocol, body):
        return lambda mark: ip(sender.ip, target.ip, protocol, body(mark))

    return {
        "ip udp": frame(plain(sender.ip)),
        "ip tcp": frame(carrying(6, lambda mark: tcp(999, 80, mark))),
        "ip tcp port 0": frame(carrying(6, lambda mark: tcp(0, 0, mark))),
        "ip icmp echo": frame(carrying(1, lambda mark: icmp(8, mark))),
        "ip gre": frame(carrying(47, lambda mark: mark)),
        "ip first fragment": frame(plain(sender.ip, fragment=0x2000)),
        "ip later fragment": frame(
            lambda mark: ip(sender.ip, target.ip, 17, mark, fragment=100)
        ),
        "ip record route": frame(
            plain(sender.ip, options=b"\x07\x07\x04" + b"\0" * 5)
        ),
        "ip loose source route": frame(
            plain(sender.ip, options=b"\x83\x07\x04" + b"\x0a\0\0\1" + b"\0")
        ),
        "ip broadcast": frame(plain(sender.ip, "10.0.0.255"), BROADCAST),
        "ip broadcast all": frame(
            plain(sender.ip, "255.255.255.255"), BROADCAST
        ),
        "ip broadcast in unicast": frame(plain(sender.ip, "10.0.0.255")),
        "ip multicast": frame(
            plain(sender.ip, "224.0.0.251"), "01:00:5e:00:00:fb"
        ),
        "ip outside, target's mac": frame(plain(sender.ip, "8.8.8.8")),
        "ip other's ip, target's mac": frame(plain(sender.ip, other.ip)),
        "ip unicast in broadcast": frame(plain(sender.ip), BROADCAST),
        "ip of other's ip": frame(plain(other.ip)),
        "ip of other": frame(plain(other.ip), target.mac, other.mac),
        "ip of other's mac": frame(plain(sender.ip), target.mac, other.mac),
        "ip of random mac": frame(
            plain(sender.ip), target.mac, "02:de:ad:00:00:01"
        ),
        "ip of group mac": frame(
            plain(sender.ip), target.mac, "01:00:5e:00:00:01"
        ),
        "ip of zero mac": frame(plain(sender.ip), target.mac, ZERO),
        "ip of foreign ip": frame(plain("8.8.8.8")),
        "ip of no ip": frame(plain("0.0.0.0")),
        "ip fragment of other's ip": frame(
            lambda mark: ip(other.ip, target.ip, 17, mark, fragment=100)
        ),
        "ip icmp redirect": frame(
            carrying(1, lambda mark: icmp(5, packed(other.ip) + mark))
        ),
        "ip icmp router advertisement": frame(
            carrying(1, lambda mark: icmp(9, mark))
        ),
        "ip igmp query": lambda mark: ether(
            "01:00:5e:00:00:01",
            sender.mac,
            IP,
            ip(sender.ip, "224.0.0.1", 2, icmp(0x11, b"\0\0\0\0" + mark)),
        ),
    }


def _of_dhcp(sender, target):
    def from_to(ports, source, destination, to, **fields):
        return lambda mark: ether(
            to,
            sender.mac,
            IP,
            ip(source, destination, 17, udp(*ports, mark), **fields),
        )

    everyone = "255.255.255.255"
    return {
        "dhcp discover": from_to((68, 67), "0.0.0.0", everyone, BROADCAST),
        "dhcp renewal": from_to((68, 67), sender.ip, target.ip, target.mac),
        "dhcp rebinding": from_to((68, 67), sender.ip, everyone, BROADCAST),
        "dhcp discover in unicast": from_to(
            (68, 67), "0.0.0.0", everyone, target.mac
        ),
        "dhcp offer": from_to((67, 68), sender.ip, everyone, BROADCAST),
        "dhcp offer in unicast": from_to(
            (67, 68), sender.ip, target.ip, target.mac
        ),
        "dhcp offer from nowhere": from_to(
            (67, 68), "0.0.0.0", everyone, BROADCAST
        ),
        "dhcp offer from a high port": from_to(
            (5000, 68), sender.ip, target.ip, target.mac
        ),
        "dhcp offer, first fragment": from_to(
            (67, 68), sender.ip, target.ip, target.mac, fragment=0x2000
        ),
    }


def _of_ip6(sender, target, other):
    def frame(packet, to=target.mac, mac=sender.mac):
        return lambda mark: ether(to, mac, IP6, packet(mark))

    def plain(source, destination=target.ip6):
        return lambda mark: _udp6(source, destination, (999, 7777), mark)

    def extended(mark):
        body = icmp6(sender.ip6, target.ip6, 134, mark.ljust(16, b"\0"))
        return ip6(sender.ip6, target.ip6, 60, b"\x3a\0" + b"\0" * 6 + body)

    def split(mark):
        options = b"\x3a\1" + b"\x01\x0c" + mark.ljust(12, b"\0")
        return _fragment6(sender.ip6, target.ip6, 60, 1, options)

    return {
        "ip6 udp": frame(plain(sender.ip6)),
        "ip6 echo": frame(
            lambda mark: _icmp6_packet(sender.ip6, target.ip6, 128, mark)
        ),
        "ip6 later fragment": frame(
            lambda mark: _fragment6(sender.ip6, target.ip6, 17, 800, mark)
        ),
        "ip6 all nodes": frame(
            plain(sender.ip6, "ff02::1"), "33:33:00:00:00:01"
        ),
        "ip6 of other's ip6": frame(plain(other.ip6)),
        "ip6 of global ip6": frame(plain("2001:db8::1")),
        "ip6 of other": frame(plain(other.ip6), target.mac, other.mac),
        "ip6 of no ip6": frame(plain("::")),
        "ip6 global, target's mac": frame(plain(sender.ip6, "2001:db8::9")),
        "dhcp6 advertise": frame(
            lambda mark: _udp6(sender.ip6, target.ip6, (547, 546), mark)
        ),
        "dhcp6 solicit": frame(
            lambda mark: _udp6(sender.ip6, "ff02::1:2", (546, 547), mark),
            "33:33:00:01:00:02",
        ),
        "router advertisement": frame(
            lambda mark: _icmp6_packet(
                sender.ip6, "ff02::1", 134, b"\x40\0\0\xff" + b"\0" * 8 + mark
            ),
            "33:33:00:00:00:01",
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
            "33:33:00:00:00:01",
        ),
        "mld report": frame(
            lambda mark: _icmp6_packet(sender.ip6, "ff02::16", 143, mark),
            "33:33:00:00:00:16",
        ),
    }


def _of_discovery(sender, target, other):
    def frame(kind, about, source=sender.ip6, destination=target.ip6):
        to = target.mac if destination == target.ip6 else "33:33:00:00:00:01"
        return lambda mark: ether(
            to,
            sender.mac,
            IP6,
            _discovery(source, destination, kind, about, mark),
        )

    everyone = "ff02::1"
    return {
        "nd solicitation": frame(135, target.ip6, destination=everyone),
        "nd advertisement": frame(136, sender.ip6),
        "nd advertisement to all": frame(
            136, sender.ip6, destination=everyone
        ),
        "nd dad": frame(135, sender.ip6, "::", everyone),
        "nd dad of other's ip6": frame(135, other.ip6, "::", everyone),
        "nd advertisement of other's ip6": frame(136, other.ip6),
        "nd advertisement of target's ip6": frame(
            136, target.ip6, destination=everyone
        ),
        "nd solicitation of other's ip6": frame(
            135, target.ip6, other.ip6, everyone
        ),
    }


def _of_tags(sender, target):
    def frame(kind, rest):
        return lambda mark: ether(target.mac, sender.mac, kind, rest(mark))

    def plain(mark):
        return ip(sender.ip, target.ip, 17, udp(999, 7777, mark))

    def plain6(mark):
        return _udp6(sender.ip6, target.ip6, (999, 7777), mark)

    def request(mark):
        return arp(1, sender.mac, sender.ip, asked=target.ip, extra=mark)

    def tag(vid, inner, body):
        return lambda mark: struct.pack("!HH", vid, inner) + body(mark)

    def pppoe(protocol, body):
        def rest(mark):
            packet = struct.pack("!H", protocol) + body(mark)
            return struct.pack("!BBHH", 0x11, 0, 1, len(packet)) + packet

        return rest

    return {
        "802.1q ip": frame(VLAN, tag(5, IP, plain)),
        "802.1q ip6": frame(VLAN, tag(5, IP6, plain6)),
        "802.1q arp": frame(VLAN, tag(5, ARP, request)),
        "802.1q vid 0 ip": frame(VLAN, tag(0, IP, plain)),
        "802.1q vid 0 ip6": frame(VLAN, tag(0, IP6, plain6)),
        "802.1q vid 0 arp": frame(VLAN, tag(0, ARP, request)),
        "vid 0 in vid 0 ip": frame(VLAN, tag(0, VLAN, tag(0, IP, plain))),
        "802.1q in 802.1q": frame(VLAN, tag(5, VLAN, tag(6, IP, plain))),
        "qinq": frame(QINQ, tag(5, VLAN, tag(6, IP, plain))),
        "802.1ad vid 0 ip": frame(QINQ, tag(0, IP, plain)),
        "0x9100 ip": frame(0x9100, tag(5, IP, plain)),
        "pppoe ip": frame(0x8864, pppoe(0x21, plain)),
        "pppoe ip6": frame(0x8864, pppoe(0x57, plain6)),
        "pppoe discovery": frame(0x8863, pppoe(0, lambda mark: mark)),
        "802.1q pppoe ip": frame(VLAN, tag(5, 0x8864, pppoe(0x21, plain))),
        "mpls ip": frame(0x8847, lambda mark: b"\0\1\x01\x40" + plain(mark)),
    }


def _of_ethertypes(sender, target):
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


def _of_groups(sender, target, other):
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
