"""Kinds of frames with IPv4, DHCP among them, as `frame_kinds` says."""

from functools import partial

from frames import (
    BROADCAST,
    IP,
    ZERO,
    bootp,
    ether,
    icmp,
    ip,
    packed,
    tcp,
    udp,
)


def of_ip(sender, target, other):
    return {
        **_of_payloads(sender, target),
        **_of_destinations(sender, target, other),
        **_of_sources(sender, target, other),
        **_of_control(sender, target, other),
    }


def of_dhcp(sender, target, other):
    everyone = "255.255.255.255"
    frame = partial(_dhcp, sender)
    nobody = ("0.0.0.0", everyone, BROADCAST)
    own = (sender.ip, target.ip, target.mac)
    asked = (68, 67)

    def body(mac, **fields):
        return lambda mark: bootp(mac, mark, **fields)

    honest, forged = body(sender.mac), body(other.mac)
    return {
        "dhcp discover": frame(asked, *nobody, honest),
        "dhcp renewal": frame(asked, *own, honest),
        "dhcp rebinding": frame(asked, sender.ip, everyone, BROADCAST, honest),
        "dhcp discover in unicast": frame(
            asked, "0.0.0.0", everyone, target.mac, honest
        ),
        "dhcp of other's mac": frame(asked, *nobody, forged),
        "dhcp of other's mac in unicast": frame(asked, *own, forged),
        "dhcp of other's mac from a high port": frame(
            (5000, 67), *own, forged
        ),
        "dhcp of another hardware": frame(
            asked, *own, body(sender.mac, kind=(1, 6, 6))
        ),
        "dhcp of a long address": frame(
            asked, *own, body(sender.mac, kind=(1, 1, 16))
        ),
        "dhcp cut off before its address": frame(
            asked, *own, lambda mark: b"\1\1\6\0" + mark
        ),
        "dhcp, first fragment": frame(asked, *own, honest, fragment=0x2000),
        "dhcp, first fragment without its address": frame(
            asked, *own, lambda mark: mark, fragment=0x2000
        ),
        **_of_servers(sender, target),
    }


def _of_servers(sender, target):
    everyone = "255.255.255.255"
    frame = partial(_dhcp, sender)
    own = (sender.ip, target.ip, target.mac)
    answer = (67, 68)

    def body(mark):
        return mark

    return {
        "dhcp offer": frame(answer, sender.ip, everyone, BROADCAST, body),
        "dhcp offer in unicast": frame(answer, *own, body),
        "dhcp offer from nowhere": frame(
            answer, "0.0.0.0", everyone, BROADCAST, body
        ),
        "dhcp offer from a high port": frame((5000, 68), *own, body),
        "dhcp offer, first fragment": frame(
            answer, *own, body, fragment=0x2000
        ),
        "dns question": frame((5000, 53), *own, body),
        "dns question, first fragment": frame(
            (5000, 53), *own, body, fragment=0x2000
        ),
    }


def _dhcp(sender, ports, source, destination, to, body, **fields):
    return lambda mark: ether(
        to,
        sender.mac,
        IP,
        ip(source, destination, 17, udp(*ports, body(mark)), **fields),
    )


def _of_payloads(sender, target):
    frame = partial(_frame, mac=sender.mac, to=target.mac)
    plain = partial(_udp, sender.ip, target.ip)

    def carrying(protocol, body):
        return frame(_packet(sender, target, protocol, body))

    return {
        "ip udp": frame(plain()),
        "ip tcp": carrying(6, lambda mark: tcp(999, 80, mark)),
        "ip tcp port 0": carrying(6, lambda mark: tcp(0, 0, mark)),
        "ip icmp echo": carrying(1, lambda mark: icmp(8, mark)),
        "ip gre": carrying(47, lambda mark: mark),
        "ip first fragment": frame(plain(fragment=0x2000)),
        "ip later fragment": frame(
            lambda mark: ip(sender.ip, target.ip, 17, mark, fragment=100)
        ),
        "ip record route": frame(plain(options=b"\x07\x07\x04" + b"\0" * 5)),
        "ip loose source route": frame(
            plain(options=b"\x83\x07\x04" + b"\x0a\0\0\1" + b"\0")
        ),
    }


def _of_destinations(sender, target, other):
    frame = partial(_frame, mac=sender.mac, to=target.mac)
    plain = partial(_udp, sender.ip)
    return {
        "ip broadcast": frame(plain("10.0.0.255"), to=BROADCAST),
        "ip broadcast all": frame(plain("255.255.255.255"), to=BROADCAST),
        "ip broadcast in unicast": frame(plain("10.0.0.255")),
        "ip multicast": frame(plain("224.0.0.251"), to="01:00:5e:00:00:fb"),
        "ip outside, target's mac": frame(plain("8.8.8.8")),
        "ip other's ip, target's mac": frame(plain(other.ip)),
        "ip unicast in broadcast": frame(plain(target.ip), to=BROADCAST),
    }


def _of_sources(sender, target, other):
    frame = partial(_frame, mac=sender.mac, to=target.mac)
    honest = _udp(sender.ip, target.ip)
    return {
        "ip of other's ip": frame(_udp(other.ip, target.ip)),
        "ip of other": frame(_udp(other.ip, target.ip), mac=other.mac),
        "ip of other's mac": frame(honest, mac=other.mac),
        "ip of random mac": frame(honest, mac="02:de:ad:00:00:01"),
        "ip of group mac": frame(honest, mac="01:00:5e:00:00:01"),
        "ip of zero mac": frame(honest, mac=ZERO),
        "ip of foreign ip": frame(_udp("8.8.8.8", target.ip)),
        "ip of no ip": frame(_udp("0.0.0.0", target.ip)),
        "ip fragment of other's ip": frame(
            lambda mark: ip(other.ip, target.ip, 17, mark, fragment=100)
        ),
    }


def _of_control(sender, target, other):
    def frame(body):
        packet = _packet(sender, target, 1, body)
        return _frame(packet, mac=sender.mac, to=target.mac)

    return {
        "ip icmp redirect": frame(
            lambda mark: icmp(5, packed(other.ip) + mark)
        ),
        "ip icmp router advertisement": frame(lambda mark: icmp(9, mark)),
        "ip igmp query": lambda mark: ether(
            "01:00:5e:00:00:01",
            sender.mac,
            IP,
            ip(sender.ip, "224.0.0.1", 2, icmp(0x11, b"\0\0\0\0" + mark)),
        ),
    }


def _frame(packet, *, mac, to):
    return lambda mark: ether(to, mac, IP, packet(mark))


def _udp(source, destination, **fields):
    return lambda mark: ip(
        source, destination, 17, udp(999, 7777, mark), **fields
    )


def _packet(sender, target, protocol, body):
    return lambda mark: ip(sender.ip, target.ip, protocol, body(mark))
