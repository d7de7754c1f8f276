"""Who hears a router of IPv6 and DHCPv6, by frames, whoever speaks."""

from dataclasses import replace

import guarded
import pytest
from frames import IP6, ether, icmp6, ip6, packed, udp
from guarded import GATEWAY, A, C, guard, guarded_network, heard

ALL_NODES, ALL_ROUTERS, SERVERS = "ff02::1", "ff02::2", "ff02::1:2"
SOLICITED, ADVERTISED, REDIRECTED = 133, 134, 137
# What a client may say, but for what only a relay or nobody has to say.
SAID = {
    "solicit": 1,
    "request": 3,
    "confirm": 4,
    "renew": 5,
    "rebind": 6,
    "release": 8,
    "decline": 9,
    "information request": 11,
    "relayed": 12,
}
ROUTER = (GATEWAY.ip6, "2001:db8:0:1::1")
NETWORK = guarded_network(cidr_v6="2001:db8:0:1::/64", routers=ROUTER)
MODES = ({}, {"isolated": False}, {"prevent_spoofing": False})


@pytest.fixture
def site(namespaces):
    return guarded.silent_site(namespaces)


def router_message(who, kind, to):
    """An ICMPv6 message of routers; the mark stands behind the packet."""
    body = bytes(4) if kind == SOLICITED else bytes(12)
    whole = icmp6(who.ip6, to, kind, body)
    return framed(who, to, 58, whole)


def datagram(who, ports, to, payload):
    return framed(who, to, 17, udp(*ports, payload, over=(who.ip6, to)))


def framed(who, to, protocol, whole):
    group = ":".join(f"{each:02x}" for each in packed(to)[-4:])
    packet = ip6(who.ip6, to, protocol, whole)
    return lambda mark: ether(f"33:33:{group}", who.mac, IP6, packet + mark)


def of_guest():
    return {
        "solicitation": router_message(A, SOLICITED, ALL_ROUTERS),
        "advertisement": router_message(A, ADVERTISED, ALL_NODES),
        "redirect": router_message(A, REDIRECTED, ALL_NODES),
        "answer": datagram(A, (547, 546), ALL_NODES, b"\7abc"),
        **{
            name: datagram(A, (546, 547), SERVERS, bytes((kind,)) + b"abc")
            for name, kind in SAID.items()
        },
    }


@pytest.mark.parametrize("mode", MODES[:2])
def test_what_a_guest_asks_a_router_is_for_its_host_alone(site, mode):
    site.apply(guard(networks=(NETWORK,), **mode))
    found = heard(site, (site.a, A), of_guest())
    asked = {"solicitation", *SAID} - {"decline", "relayed"}
    assert found == {
        name: ["host"] if name in asked else [] for name in of_guest()
    }


def test_who_may_claim_anything_is_no_router_either(site):
    site.apply(guard(networks=(NETWORK,), prevent_spoofing=False))
    found = heard(site, (site.a, A), of_guest())
    wrong = ("advertisement", "answer", "decline", "relayed")
    assert [found[name] for name in wrong] == [[]] * len(wrong)
    assert found["renew"] == ["host"]


@pytest.mark.parametrize("mode", MODES)
def test_the_segment_has_no_router_for_guests(site, mode):
    frames = {
        "advertisement": router_message(C, ADVERTISED, ALL_NODES),
        "redirect": router_message(C, REDIRECTED, ALL_NODES),
        "answer": datagram(C, (547, 546), ALL_NODES, b"\7abc"),
        "solicit": datagram(C, (546, 547), SERVERS, b"\1abc"),
    }
    closing = site.a, A
    before = guard(networks=(replace(NETWORK, routers=()),), **mode)
    site.apply(before)
    opened = heard(site, (site.c, C), frames, closing=closing)
    site.apply(guard(networks=(NETWORK,), **mode))
    found = heard(site, (site.c, C), frames, closing=closing)
    for name in frames:
        assert not {"A", "B"} & {*found[name]}, name
    assert "host" not in found["solicit"]
    # It is this that keeps them off, where groups are not.
    is_open = mode == {"isolated": False}
    assert ("B" in opened["advertisement"]) is is_open


def test_what_a_host_says_stays_on_its_host(site):
    """The host's own voice: what it sends by its bridge."""
    site.apply(guard(networks=(NETWORK,)))
    frames = {
        "advertisement": router_message(GATEWAY, ADVERTISED, ALL_NODES),
        "answer": datagram(GATEWAY, (547, 546), ALL_NODES, b"\7abc"),
    }
    found = site.host.call(_from_bridge, site, frames)
    assert found == {"advertisement": ["A", "B"], "answer": []}


def _from_bridge(site, frames):
    ears = {name: ear for name, ear in site.ears.items() if name != "host"}
    sockets = {n: guarded._packet_socket(*ear) for n, ear in ears.items()}
    mouth = guarded._packet_socket(site.host.name, guarded.BRIDGE)
    last = guarded.ether(
        guarded.BROADCAST,
        GATEWAY.mac,
        guarded.ARP,
        guarded.arp(1, GATEWAY.mac, GATEWAY.ip, asked=GATEWAY.ip)
        + b"fnt-%04d" % guarded.LAST,
    )
    for number, build in enumerate(frames.values()):
        mouth.send(build(b"fnt-%04d" % number))
    mouth.send(last)
    names = list(frames)
    result = {name: [] for name in names}
    for who, ear in sockets.items():
        for number in guarded._marks(ear):
            result[names[number]].append(who)
    return {name: sorted(who) for name, who in result.items()}
