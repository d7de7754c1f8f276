"""Whom a real dnsmasq serves, asked by real clients on one segment."""

from dataclasses import replace

import pytest
from dhcp_hosts import (
    ACK,
    DISCOVER,
    MAC_1,
    MAC_2,
    OFFER,
    Host,
    ask,
    line,
    serving_host,
)

from tests.builders import dhcp_host, interface, settings, snapshot
from tests.effects import released
from tests.planned import servers
from tests.waiting import eventually

# Some are given to dnsmasq and some are not: all guests get an address.
HOSTNAMES = (
    *("", "a,b", "a\nb", "set:x", "tag:x", "net:x", "id:*", "3600", "2h"),
    *("infinite", "ignore", "Ignore", "set", "tag", "net", "id", "_a", "-a"),
    *("a_", "a-", "a.b", "é", "x" * 64, "x" * 63, "Ab--c", "ab--c", "xn--A"),
    *("xn--a", "XN--zzz9", "fa:16:3e:00:00:09", "deadbeef", "0x1", "1-2"),
)


@pytest.fixture
def host(namespaces, tmp_path):
    with serving_host(namespaces, tmp_path) as host:
        yield host


@pytest.fixture
def other(host, namespaces, tmp_path):
    """A second host, on the same segment as the first."""
    other = Host(namespaces(), tmp_path / "node2", "10.0.0.4")
    host.namespace.run(
        f"ip link add up0 type veth peer name up0 netns {other.namespace.name}"
    )
    for each in (host, other):
        each.enslave("up0")
    eventually(lambda: host.passes("up0") and other.passes("up0"))
    yield other
    other.apply_all()


def test_a_guest_gets_what_its_host_planned(host, namespaces, tmp_path):
    host.apply(line(1, "vm_1"))
    guest = host.guest(namespaces(), MAC_1, tmp_path / "vm_1")
    lease = guest.lease()
    assert lease["ip"] == "10.0.0.2"
    assert lease["router"] == "10.0.0.1"
    assert lease["serverid"] == "10.0.0.1"
    assert lease["mtu"] == "1450"
    assert lease["lease"] == "3600"
    assert lease["domain"] == "novalocal"


def test_who_is_to_have_no_router_is_told_of_none(host, namespaces, tmp_path):
    """Others are, and a reload may make them change places."""
    guests = {
        mac: host.guest(namespaces(), mac, tmp_path / mac)
        for mac in (MAC_1, MAC_2)
    }
    routers = {}
    for apart in (MAC_2, MAC_1, None, MAC_1, MAC_2):
        host.apply(
            *(
                replace(each, has_router=each.mac != apart)
                for each in (line(1, "vm_1"), line(2, "vm_1"))
            )
        )
        pid = routers.setdefault("pid", host.pid)
        for mac, guest in guests.items():
            lease = guest.lease()
            assert ("router" in lease) == (mac != apart), (mac, apart)
            assert (lease["mtu"], lease["domain"]) == ("1450", "novalocal")
        assert host.pid == pid


def test_who_is_not_in_the_file_gets_no_answer(host, namespaces, tmp_path):
    host.apply(line(1))
    stranger = host.guest(namespaces(), MAC_2, tmp_path / "stranger")
    assert stranger.lease(tries=3) is None
    guest = host.guest(namespaces(), MAC_1, tmp_path / "vm_1")
    assert guest.lease()["ip"] == "10.0.0.2"


def test_each_guest_is_answered_by_its_own_host(
    host, other, namespaces, tmp_path
):
    host.apply(line(1))
    other.apply(line(2))
    first = host.guest(namespaces(), MAC_1, tmp_path / "vm_1")
    second = other.guest(namespaces(), MAC_2, tmp_path / "vm_2")
    for _ in range(2):
        assert first.lease()["serverid"] == "10.0.0.1"
        assert second.lease()["serverid"] == "10.0.0.4"


def test_nobody_refuses_a_guest_of_another_host(
    host, other, namespaces, tmp_path
):
    host.apply(line(1))
    other.apply(line(2))
    guest = host.guest(namespaces(), MAC_1, tmp_path / "vm_1")
    guest.lease()
    own = [(ACK, "10.0.0.2", "10.0.0.1")]
    assert guest.renews("10.0.0.2", MAC_1, server="10.0.0.1") == own
    assert guest.renews("10.0.0.2", MAC_1) == own


def test_a_guest_that_moved_is_neither_refused_nor_ignored(
    host, other, namespaces, tmp_path
):
    host.apply(line(1))
    other.apply()
    guest = host.guest(namespaces(), MAC_1, tmp_path / "vm_1")
    guest.lease()
    host.apply()
    other.apply(line(1))
    moved = guest.renews("10.0.0.2", MAC_1)
    assert moved == [(ACK, "10.0.0.2", "10.0.0.4")]


def test_names_resolve_before_there_is_a_lease(host, namespaces, tmp_path):
    host.apply(line(1, "vm_1"), line(2, "vm_2"))
    guest = host.guest(namespaces(), MAC_1, tmp_path / "vm_1")
    guest.lease()
    assert ("10.0.0.3", "") in guest.asks("vm_2", "10.0.0.1")
    assert ("10.0.0.3", "") in guest.asks("vm_2.novalocal", "10.0.0.1")
    assert ("", "vm_2.novalocal") in guest.asks("10.0.0.3", "10.0.0.1")
    assert guest.asks("nobody.novalocal", "10.0.0.1") == []


def test_leases_that_were_sound_are_released_later(host, namespaces, tmp_path):
    host.apply(line(1))
    guest = host.guest(namespaces(), MAC_1, tmp_path / "old")
    guest.lease()
    with_it, without = (
        (replace(host.server, hosts=hosts),) for hosts in ((line(1),), ())
    )
    changes = host.in_turn(with_it, with_it, without, without)
    made = [released("10.0.0.2", MAC_1) in each.made for each in changes]
    assert made == [False, False, True, False]


def test_an_address_has_a_new_holder_at_once(host, namespaces, tmp_path):
    host.apply(line(1))
    first = host.guest(namespaces(), MAC_1, tmp_path / "old")
    assert first.lease()["ip"] == "10.0.0.2"
    made = host.apply(dhcp_host(MAC_2, "10.0.0.2"))
    assert released("10.0.0.2", MAC_1) in made
    second = host.guest(namespaces(), MAC_2, tmp_path / "new")
    assert second.lease()["ip"] == "10.0.0.2"


def test_a_guest_is_not_called_what_it_calls_itself(
    host, namespaces, tmp_path
):
    host.apply(line(1), line(2, "vm_2"))
    guest = host.guest(namespaces(), MAC_1, tmp_path / "guest")
    guest.lease(hostname="wpad")
    assert guest.asks("wpad.novalocal", "10.0.0.1") == []
    assert guest.asks("10.0.0.2", "10.0.0.1") == []


@pytest.mark.parametrize("domain", ["", "novalocal"])
def test_no_hostname_costs_a_guest_its_address(
    host, namespaces, tmp_path, domain
):
    rows = [
        interface(number, hostname=name)
        for number, name in enumerate(HOSTNAMES, start=2)
    ]
    (server,), _ = servers(
        snapshot(interfaces=rows),
        settings(dhcp_domain=domain),
        {"br100": 1500},
    )
    host.apply_all(server)
    device = host.guest(namespaces(), MAC_1, tmp_path / "guest").namespace
    device.run("ip addr add 10.0.0.200/24 dev eth0")
    for row in rows:
        offered = device.call(ask, row.mac, kind=DISCOVER, quiet=0)
        wanted = [(OFFER, row.addresses[0], "10.0.0.1")]
        assert offered == wanted, row.hostname
