"""A dual-stack network: what its host's bridge, server and rules are."""

from dataclasses import replace

import pytest

from flatnet.apply.dhcp import dnsmasq
from flatnet.apply.dhcp.texts import Texts
from flatnet.apply.filter.iptables.rendering import rules
from flatnet.apply.grammar.instances import Passed
from flatnet.apply.grammar.plan import checked
from flatnet.exceptions import HostSetupError
from flatnet.plan.bridge import bridge_mac
from flatnet.plan.ipv6 import router
from flatnet.state.eui64 import made_by
from tests.builders import interface, network, settings, snapshot
from tests.planned import filter_plan, host_plan, warnings_of

PREFIX = "2001:db8:0:1::/64"
NETWORK = network(cidr_v6=PREFIX)
ROWS = snapshot(networks=(NETWORK,), interfaces=(interface(1),))
LOCAL, OWN = made_by(bridge_mac("node1", NETWORK.uuid), PREFIX)
FORWARDING = ("net.ipv6.conf.all.forwarding", "1")


def plan(rows=ROWS, **options):
    return host_plan(rows, settings(**{"use_ipv6": True, **options}))


def test_a_host_is_the_router_of_its_guests():
    found = plan()
    (bridge,) = found.bridges
    assert bridge.routers == (LOCAL, OWN) == router("node1", NETWORK)
    assert bridge.addresses == {"10.0.0.1/24", f"{LOCAL}/64", f"{OWN}/64"}
    assert found.guard.networks[0].routers == (LOCAL, OWN)
    assert found.filter.gateways[0].routers == (LOCAL, OWN)
    assert FORWARDING in found.sysctls
    other = host_plan(replace(ROWS, host="node2"), settings(host="node2"))
    assert other.bridges[0].routers == ()


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        (ROWS, {"use_ipv6": False}),
        (ROWS, {"dhcp": False}),
        (snapshot(interfaces=(interface(1),)), {}),
        (
            replace(ROWS, networks=(replace(NETWORK, multi_host=False),)),
            {},
        ),
        (
            replace(ROWS, networks=(replace(NETWORK, enable_dhcp=False),)),
            {},
        ),
    ],
)
def test_who_serves_no_range_is_none(rows, options):
    found = plan(rows, **options)
    (bridge,) = found.bridges
    assert bridge.routers == found.guard.networks[0].routers == ()
    assert FORWARDING not in found.sysctls
    assert [each.ipv6 for each in found.dhcp_servers] in ([], [None])


def test_all_hosts_of_a_network_are_one_server_to_its_guests():
    servers = [
        host_plan(
            replace(ROWS, host=host), settings(host=host, use_ipv6=True)
        ).dhcp_servers[0]
        for host in ("node1", "node2")
    ]
    one, other = (each.ipv6 for each in servers)
    assert one.duid == other.duid
    assert one.address != other.address


def test_what_dnsmasq_is_told():
    rows = replace(ROWS, networks=(replace(NETWORK, mtu=1450),))
    (server,) = plan(rows).dhcp_servers
    line = dnsmasq.arguments(server, networks_path="/n", config_file="")
    assert "--except-interface=br100" not in line
    assert f"--listen-address={OWN}" in line
    assert "--dhcp-lease-max=512" in line
    assert line[-7:-4] == (
        "--dhcp-range=2001:db8:0:1::,static,slaac,64,86400s",
        "--enable-ra",
        "--ra-param=br100,mtu:1450,60,1800",
    )
    assert line[-3:] == (
        f"--dhcp-option=option6:dns-server,[{OWN}]",
        "--local=/1.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa/",
        "--dhcp-option=option6:domain-search,novalocal",
    )
    mine = "2001:db8:0:1:f816:3eff:fe00:1"
    found = Texts().of(server)
    assert {each: found[each] for each in ("hosts", "names")} == {
        "hosts": f"fa:16:3e:00:00:01,vm_1.novalocal,10.0.0.2,[{mine}]\n",
        "names": f"10.0.0.2 vm_1\n{mine} vm_1\n",
    }


def _chain(rows, name="flatnet-FORWARD", **options):
    wanted, _ = filter_plan(rows, settings(use_ipv6=True, **options))
    return next(
        list(chain.rules)
        for table in rules(wanted).tables
        for chain in table.chains
        if (table.family, table.name, chain.name) == (6, "filter", name)
    )


def test_what_is_routed_is_judged_as_ipv4_is():
    turned = (
        "-i br100 -o br100 -m physdev ! --physdev-is-bridged "
        "-m conntrack ! --ctstate SNAT,DNAT -j DROP"
    )
    assert _chain(ROWS) == [
        turned,
        "-i br100 -j ACCEPT",
        "-o br100 -j ACCEPT",
    ]
    assert _chain(
        ROWS,
        allow_same_net_traffic=False,
        forward_bridge_interface=("eth2",),
    ) == [
        turned,
        # Discovery is for who is on the segment.
        *(
            "! -i br100 -o br100 -p ipv6-icmp -m icmp6 "
            f"--icmpv6-type {kind} -j DROP"
            for kind in (130, 135, 136)
        ),
        "-o br100 -j flatnet-local",
        "-o br100 -m physdev --physdev-is-bridged -j ACCEPT",
        "-i br100 -o eth2 -j ACCEPT",
        "-i eth2 -o br100 -j ACCEPT",
        "-i br100 -o br100 -j ACCEPT",
        "-i br100 -j DROP",
        "-o br100 -j DROP",
    ]


def test_who_is_in_no_group_is_let_in_by_the_devices_that_lead_there():
    """As with IPv4, and not before that is asked."""
    rows = replace(
        ROWS,
        interfaces=(interface(1), interface(2, security_group_ids=(9,))),
    )
    opened = "-m set --match-set flatnet-open6 dst -j ACCEPT"
    assert opened not in _chain(rows, "flatnet-local")
    wanted, _ = filter_plan(rows, settings())
    (local,) = (
        chain.rules
        for table in rules(wanted).tables
        for chain in table.chains
        if (table.family, chain.name) == (6, "flatnet-local")
    )
    assert opened in local


@pytest.mark.parametrize(
    "wrong",
    [
        {"duid": "x" * 32},
        {"duid": "ab"},
        {"cidr": "2001:db8::/48"},
        {"address": "2001:db8:0:2::1"},
        {"address": "10.0.0.1"},
    ],
)
def test_what_is_advertised_is_checked(wrong):
    given = plan()
    (server,) = given.dhcp_servers
    odd = replace(server, ipv6=replace(server.ipv6, **wrong))
    with pytest.raises(HostSetupError, match="refused whole"):
        checked(replace(given, dhcp_servers=(odd,)), Passed())
    checked(given, Passed())


def test_a_range_that_is_no_64_is_left_out_with_a_word():
    row = replace(NETWORK, cidr_v6="2001:db8::/48")
    rows = replace(ROWS, networks=(row,))
    (text,) = warnings_of(rows, settings(use_ipv6=True))
    assert "cidr_v6 '2001:db8::/48' makes no sense" in text
    assert plan(rows).bridges[0].routers == ()
