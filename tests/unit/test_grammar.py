"""What of a plan reaches a program, and what it costs to be outside of it."""

from dataclasses import replace

import pytest

from flatnet.apply.grammar import checked
from flatnet.exceptions import HostSetupError
from flatnet.plan.host import host_plan
from flatnet.rows import SecurityGroup, SecurityRule
from flatnet.state import Chain, DhcpHost, Jump, Table
from flatnet.taken import InUse
from tests.builders import interface, network, settings, snapshot


def plan(**options):
    """A host with all that a plan can have."""
    rows = snapshot(
        networks=(network(cidr_v6="2001:db8::/64", dns1="192.0.2.53"),),
        interfaces=(
            interface(1, security_group_ids=(1, 2)),
            interface(2, security_group_ids=(2,)),
            interface(3),
        ),
        security_groups=(
            SecurityGroup(
                1,
                "web",
                (
                    SecurityRule(1, "tcp", 22, 80, "192.0.2.0/24"),
                    SecurityRule(2, "icmp", 8, 0, "0.0.0.0/0"),
                    SecurityRule(3, "icmp", 128, -1, "2001:db8::/32"),
                    SecurityRule(4, "47", None, None, "::/0"),
                ),
            ),
            SecurityGroup(
                2, "friends", (SecurityRule(5, "udp", 53, 53, None, 7),)
            ),
        ),
        group_members=((7, ("10.0.0.9", "2001:db8::9")),),
    )
    options = {
        "allow_same_net_traffic": False,
        "flat_interface": "eth1",
        "routing_source_ip": "192.0.2.1",
        "metadata_host": "192.0.2.8",
        "dmz_cidr": ("10.128.0.0/16",),
        "dns_server": ("192.0.2.53", "2001:db8::53"),
        **options,
    }
    in_use = (InUse("192.0.2.10", "the broker"),)
    made = host_plan(rows, settings(**options), {})
    return replace(made, in_use=in_use)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"allow_same_net_traffic": True},
        {"dhcp": False},
        {"vif_plug": "veth"},
        {"vif_plug": "external"},
        {"tap_owner": "nobody", "tap_group": "kvm"},
        {"metadata_host": "127.0.0.1"},
        {"forward_bridge_interface": ("eth0", "eth2.100")},
        {"dhcp_domain": "", "foreign_ports": "closed"},
    ],
)
def test_what_is_planned_is_of_the_grammar(options):
    wanted = plan(**options)
    assert checked(wanted) == (wanted, ())


def of_table(**fields):
    (first, *rest) = plan().tables
    return replace(plan(), tables=(replace(first, **fields), *rest))


def of_network(**fields):
    guard = plan().guard
    (only,) = guard.networks
    networks = (replace(only, **fields),)
    return replace(plan(), guard=replace(guard, networks=networks))


def of_bridge(**fields):
    (bridge,) = plan().bridges
    return replace(plan(), bridges=(replace(bridge, **fields),))


def of_server(**fields):
    (server,) = plan().dhcp_servers
    return replace(plan(), dhcp_servers=(replace(server, **fields),))


@pytest.mark.parametrize(
    "wanted",
    [
        replace(plan(), in_use=(InUse("192.0.2.0/24", "the broker"),)),
        replace(plan(), in_use=(InUse("2001:db8::1", "the broker"),)),
        replace(plan(), in_use=(InUse("192.0.2.1", "the\nbroker"),)),
        replace(plan(), in_use=(InUse("192.0.2.1", ""),)),
        # As they were seen.
        of_table(name="filter\n-F FORWARD", jumps=(), chains=()),
        of_network(mac="02:00:00:00:00:01 }\nflush ruleset\n#"),
        of_network(mac='02:00:00:00:00:01" ; include "/etc/shadow'),
        of_table(name="raw"),
        of_table(family=5),
        of_table(family=True),
        of_table(jumps=(Jump("INPUT", "DOCKER"),)),
        of_table(jumps=(Jump("mine", "flatnet-x"),)),
        of_table(chains=(Chain("INPUT", ("-j DROP",)),)),
        of_table(chains=(Chain("flatnet-x"), Chain("flatnet-x"))),
        of_table(chains=(Chain("flatnet-x", ("-j REJECT",)),)),
        of_network(cidr="10.0.0.0/24 accept"),
        of_network(cidr="10.0.0.1/24"),
        of_network(address="10.0.0.1\n"),
        of_network(address=None),
        of_network(cidr_v6="fe80::1%x;y/64"),
        of_network(uplink="eth1,eth2"),
        of_network(foreign_ports="open"),
        of_bridge(name=".."),
        of_bridge(name="-x"),
        of_bridge(name="br1D@00"),
        of_bridge(name="br+"),
        of_bridge(name="br100\0"),
        of_bridge(name="x" * 16),
        of_bridge(network_uuid="a b"),
        of_bridge(mtu=67),
        of_bridge(mtu=True),
        of_bridge(address="10.0.0.1/\u0662\u0664"),
        of_bridge(address="10.0.0.1"),
        of_bridge(uplink="../eth0"),
        of_server(bridge="br100,br200"),
        of_server(domain="x\n--conf-script=/tmp/x"),
        of_server(domain="--conf-script"),
        of_server(servers=("192.0.2.53#5353",)),
        of_server(servers=("\u0661\u0669\u0662.0.2.53",)),
        of_server(lease_time=0),
        of_server(router="0x0a000001"),
        replace(plan(), sysctls=(("kernel.core_pattern", "1"),)),
        replace(plan(), sysctls=(("net.ipv4.ip_forward", "1\n"),)),
        replace(plan(), sysctls=(("net.ipv4.conf.eth0.rp_filter", "1"),)),
    ],
)
def test_what_is_wrong_with_the_host_refuses_the_plan(wanted):
    with pytest.raises(HostSetupError) as error:
        checked(wanted)
    assert str(error.value).startswith("a plan is refused whole: ")
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "rule",
    [
        "-j ACCEPT\n-A INPUT -j ACCEPT",
        '-m comment --comment "x" -j ACCEPT',
        "-j ACCEPT --modprobe=/bin/true",
        "-M /bin/true -j ACCEPT",
        "-t nat -j ACCEPT",
        "-j ACCEPT -X flatnet-local",
        "-j  ACCEPT",
        "-j ACC\\EPT",
        "-s 10.0.0.0/33 -j ACCEPT",
        "-s any -j ACCEPT",
        "-s fe80::1%\x0e\n/64 -j ACCEPT",
        "-p tcp -m tcp --dport 70000 -j ACCEPT",
        "-p tcp -m tcp --dport 22: -j ACCEPT",
        "-m set --match-set theirs src -j ACCEPT",
        "-m set --match-set flatnet-g4-1 dst -j ACCEPT",
        "-m string -j ACCEPT",
        "-i br+ -j ACCEPT",
        "-j",
        "ACCEPT",
    ],
)
def test_a_rule_that_is_odd_shuts_its_instance_alone(rule):
    wanted = plan()
    (table,) = (
        each
        for each in wanted.tables
        if (each.family, each.name) == (4, "filter")
    )
    own = Chain("flatnet-i-x", (rule, "-j ACCEPT"), "uuid-1")
    odd = replace(table, chains=(*table.chains, own))
    given = replace(wanted, tables=(odd,))
    found, (failure,) = checked(given)
    assert failure.instances == ("uuid-1",)
    assert failure.subject == "firewall chain flatnet-i-x"
    assert failure.message.isprintable()
    assert found.tables[0].chains == (
        *table.chains,
        replace(own, rules=("-j DROP",)),
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"mac": "no mac"},
        {"mac": "FA:16:3E:00:00:01"},
        {"mac": "01:00:5e:00:00:01"},
        {"addresses": ("10.0.0.300",)},
        {"addresses": ("10.0.0.2", "fe80::1%eth0")},
        {"owner": "a b"},
        {"peer": "eth0"},
    ],
)
def test_a_port_that_is_odd_is_shut_alone(fields):
    wanted = plan()
    (bridge,) = wanted.bridges
    odd = replace(bridge.ports[0], **fields)
    given = replace(
        wanted, bridges=(replace(bridge, ports=(odd, *bridge.ports[1:])),)
    )
    found, (failure,) = checked(given)
    assert failure.subject == f"port {odd.name}"
    assert failure.instances == (odd.instance_uuid,)
    assert failure.message.endswith(": mend its row")
    kept = {port.name: port for port in found.bridges[0].ports}
    # It is not removed from under a guest that runs.
    assert kept[odd.name].addresses == ()
    assert {kept[port.name] for port in bridge.ports[1:]} == set(
        bridge.ports[1:]
    )


@pytest.mark.parametrize("name", ["eth0", "tap0", 'tap" drop; #', "tap\n"])
def test_a_port_of_another_name_is_left_out(name):
    wanted = plan()
    (bridge,) = wanted.bridges
    odd = replace(bridge.ports[0], name=name)
    given = replace(wanted, bridges=(replace(bridge, ports=(odd,)),))
    found, (failure,) = checked(given)
    assert found.bridges[0].ports == ()
    assert failure.subject.isprintable()


@pytest.mark.parametrize(
    "host",
    [
        DhcpHost("rubbish", "10.0.0.2"),
        DhcpHost("fa:16:3e:00:00:01\n", "10.0.0.2"),
        DhcpHost("fa:16:3e:00:00:01", "10.0.0.2", "a,ignore"),
        DhcpHost("fa:16:3e:00:00:01", "10.0.0.2", "_a"),
        DhcpHost("fa:16:3e:00:00:01", "10.0.0.2\n"),
    ],
)
def test_a_line_for_dnsmasq_that_is_odd_is_left_out(host):
    given = of_server(hosts=(host,))
    found, (failure,) = checked(given)
    assert found.dhcp_servers[0].hosts == ()
    assert failure.subject == "dhcp br100"
    assert plan().bridges[0].ports[0].instance_uuid in failure.instances


def test_an_empty_table_is_one_of_ours():
    wanted = replace(plan(), tables=(Table(4, "filter"),))
    assert checked(wanted) == (wanted, ())
