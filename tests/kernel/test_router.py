"""A host that is its guests' router of IPv6, and still somebody's guest."""

import contextlib
import socket
import struct

from test_host import directory as directory
from test_host import emptied, in_session

from flatnet.apply.host import HostPaths
from flatnet.apply.link.router_trust import keep_routers
from flatnet.plan.ipv6 import router
from tests.builders import interface, network, settings, snapshot
from tests.planned import host_plan
from tests.waiting import eventually

NETWORK = network(cidr_v6="2001:db8:0:1::/64")
ROWS = snapshot(networks=(NETWORK,), interfaces=(interface(1),))
ROUTERS = {f"{each}/64" for each in router("node1", NETWORK)}


def applied(namespace, directory, **options):
    given = {"use_ipv6": True, "public_interface": "lo", **options}
    wanted = host_plan(ROWS, settings(**given))
    return namespace.call(in_session, wanted, HostPaths(str(directory)))


def of_bridge(namespace):
    """The IPv6 addresses of the bridge."""
    found = namespace.run("ip -br -6 addr show dev br100").split()
    return {each for each in found if ":" in each}


def setting(namespace, name):
    return namespace.run(f"sysctl -n net.ipv6.conf.{name}").strip()


def test_twice_is_once_and_what_others_do_is_mended(namespace, directory):
    assert applied(namespace, directory).failures == ()
    assert of_bridge(namespace) == ROUTERS
    assert applied(namespace, directory).made == ()
    local = min(ROUTERS, key=lambda each: each.startswith("2001"))
    for harm in (
        f"ip -6 addr del {local} dev br100",
        "sysctl -qw net.ipv6.conf.br100.disable_ipv6=1",
        "sysctl -qw net.ipv6.conf.br100.accept_ra=2",
        "sysctl -qw net.ipv6.conf.all.forwarding=0",
        "ip link set br100 down",
    ):
        namespace.run(harm)
        assert applied(namespace, directory).made != ()
        assert of_bridge(namespace) == ROUTERS
        assert setting(namespace, "br100.accept_ra") == "0"
        assert setting(namespace, "all.forwarding") == "1"
        assert applied(namespace, directory).made == ()
    # Without the option there is nothing of it.
    assert applied(namespace, directory, use_ipv6=False).failures == ()
    assert of_bridge(namespace) == set()
    assert setting(namespace, "br100.disable_ipv6") == "1"
    assert applied(namespace, directory, use_ipv6=False).made == ()
    emptied(namespace, directory)


def test_what_cannot_be_had_costs_ipv6_alone(namespace, directory):
    namespace.run("ip link add other type bridge")
    namespace.run("ip link set other up")
    namespace.run("ip -6 addr add 2001:db8:0:1::9/64 dev other nodad")
    found = applied(namespace, directory)
    assert found.failures == ()
    assert [each for each in found.warnings if "give the network" in each]
    assert of_bridge(namespace) == set()
    emptied(namespace, directory)


def test_an_admins_bridge_gets_addresses_and_no_more(namespace, directory):
    namespace.run("ip link add br100 type bridge")
    namespace.run("sysctl -qw net.ipv6.conf.br100.disable_ipv6=1")
    found = applied(namespace, directory)
    assert found.failures == ()
    assert [each for each in found.warnings if "did not make it" in each]
    assert of_bridge(namespace) == set()
    namespace.run("sysctl -qw net.ipv6.conf.br100.disable_ipv6=0")
    assert applied(namespace, directory).failures == ()
    assert of_bridge(namespace) >= ROUTERS
    # It may be by this bridge that the host has its own router.
    assert setting(namespace, "br100.accept_ra") == "2"
    assert applied(namespace, directory).made == ()
    emptied(namespace, directory)


# A router for half an hour, that advertises no prefix.
ADVERTISEMENT = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)


def advertise():
    """Say that one is a router, as a provider's does again and again."""
    with socket.socket(
        socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6
    ) as speaker:
        hops = socket.IPV6_MULTICAST_HOPS
        speaker.setsockopt(socket.IPPROTO_IPV6, hops, 255)
        index = socket.if_nametoindex("eth0")
        speaker.sendto(ADVERTISEMENT, ("ff02::1", 0, 0, index))


def test_a_host_goes_on_believing_its_own_router(
    namespaces, namespace, directory
):
    """Of what forwards already nobody knows whom it is to believe."""
    provider, host = namespaces(), namespace

    def hears():
        with contextlib.suppress(OSError):
            provider.call(advertise)
        return "ext0" in host.run("ip -6 route show default")

    for each in (provider, host):
        each.run("sysctl -qw net.ipv6.conf.default.accept_dad=0")
    # Whoever forwards has forgotten its default routes: that comes first.
    host.run("ip link add routed type bridge")
    host.run("sysctl -qw net.ipv6.conf.routed.forwarding=1")
    host.run(f"ip link add ext0 type veth peer eth0 netns {provider.name}")
    provider.run("ip link set eth0 up")
    host.run("ip link set ext0 up")
    eventually(hears)
    assert applied(host, directory).failures == ()
    assert setting(host, "all.forwarding") == "1"
    assert setting(host, "ext0.accept_ra") == "2"
    assert setting(host, "routed.accept_ra") == "1"
    assert "ext0" in host.run("ip -6 route show default")
    assert host.call(lambda: list(keep_routers())) == []
    host.run("ip -6 route del default")
    eventually(hears)
    emptied(host, directory)
