"""What of a plan reaches a program, and what it costs to be outside of it."""

from dataclasses import replace

import pytest

from flatnet.apply.grammar.instances import Passed
from flatnet.apply.grammar.plan import checked
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import guest_key
from flatnet.state.effects import Subject, Surface
from flatnet.state.filtering import Opening
from flatnet.state.rows import SecurityGroup, SecurityRule
from flatnet.state.sliced_collections import SlicedSet
from flatnet.state.taken_addresses import InUse
from tests.builders import dhcp_host, interface, network, settings, snapshot
from tests.effects import DHCP, port
from tests.planned import host_plan, in_groups


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
        members=in_groups({7: ("10.0.0.9", "2001:db8::9")}),
    )
    options = {
        "allow_same_net_traffic": False,
        "flat_interface": "eth1",
        "routing_source_ip": "192.0.2.1",
        "metadata_host": "192.0.2.8",
        "dmz_cidr": ("10.128.0.0/16",),
        "dns_server": ("192.0.2.53", "2001:db8::53"),
        "use_ipv6": True,
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
        {"use_ipv6": False},
        {"dhcp": False},
        {"vif_plug": "veth"},
        {"vif_plug": "external"},
        {"tap_owner": "nobody", "tap_group": "kvm"},
        {"tap_owner": "qemu@example.org", "tap_group": "EXAMPLE\\kvm"},
        {"metadata_host": "127.0.0.1"},
        {"forward_bridge_interface": ("eth0", "eth2.100")},
        {"dhcp_domain": "", "foreign_ports": "closed"},
    ],
)
def test_what_is_planned_is_of_the_grammar(options):
    wanted = plan(**options)
    assert checked(wanted, Passed()) == (wanted, ())


def of_filter(**fields):
    return replace(plan(), filter=replace(plan().filter, **fields))


def of_part(name, **fields):
    first, *rest = getattr(plan().filter, name)
    return of_filter(**{name: (replace(first, **fields), *rest)})


def of_outside(**fields):
    return of_filter(outside=replace(plan().filter.outside, **fields))


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
        of_network(mac="02:00:00:00:00:01 }\nflush ruleset\n#"),
        of_network(mac='02:00:00:00:00:01" ; include "/etc/shadow'),
        of_filter(same_network=2),
        of_part("networks", bridge="br100 -j ACCEPT"),
        of_part("networks", cidr="10.0.0.0/33"),
        of_part("networks", cidr_v6="10.0.0.0/24"),
        of_part("guests", bridge="br+"),
        of_part("groups", id="1 -j ACCEPT"),
        of_part("groups", id=0),
        of_part("members", group="theirs"),
        of_part("members", addresses=SlicedSet(("1.2.3.4 timeout 1",))),
        of_part("gateways", address="10.0.0.1\n-F FORWARD"),
        of_part("gateways", cidr="any"),
        of_part("gateways", serves="yes"),
        of_outside(forwards=("eth+",)),
        of_outside(source_ip="192.0.2.1 --random"),
        of_outside(public_interface="-j"),
        of_outside(snat_ranges=("0.0.0.0/0.0.0.0",)),
        of_outside(kept=("fe80::1%\x0e\n/64",)),
        of_outside(metadata=("192.0.2.8", 70000)),
        of_outside(name_servers=("192.0.2.53:53",)),
        of_outside(any_name_server=None),
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
        checked(wanted, Passed())
    assert str(error.value).startswith("a plan is refused whole: ")
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "odd",
    [
        Opening(5),
        Opening(True),
        Opening(4, source="rubbish"),
        Opening(4, source="10.0.0.0/24 -j ACCEPT\n-A INPUT"),
        Opening(4, source="fe80::/10"),
        Opening(6, source="10.0.0.0/8"),
        Opening(4, group="theirs"),
        Opening(4, group=-1),
        Opening(4, protocol=256),
        Opening(4, protocol="tcp"),
        Opening(4, protocol=0),
        Opening(4, protocol=6, first=70000, last=70000),
        Opening(4, protocol=6, first=22),
        Opening(4, protocol=6, first="22", last="22 -j ACCEPT"),
    ],
)
def test_a_group_with_an_odd_opening_lets_in_nothing(odd):
    first, *rest = plan().filter.groups
    given = of_part("groups", openings=(*first.openings, odd))
    found, (failure,) = checked(given, Passed())
    assert found.filter.groups == (replace(first, openings=()), *rest)
    assert failure.subject == Subject(Surface.GROUP, "1")
    assert failure.message.isprintable()
    assert failure.instances == (plan().filter.guests[0].instance_uuid,)


@pytest.mark.parametrize(
    "fields",
    [
        {"uuid": "a b"},
        {"instance_uuid": "x -j ACCEPT"},
        {"groups": (1, "2")},
        {"filtered": 1},
        {"addresses": ("10.0.0.2", "10.0.0.300")},
    ],
)
def test_a_guest_that_is_odd_is_shut_alone(fields):
    first, *rest = plan().filter.guests
    given = of_part("guests", **fields)
    found, (failure,) = checked(given, Passed())
    mine, *others = found.filter.guests
    assert others == rest
    assert (mine.filtered, mine.groups) == (True, ())
    assert "10.0.0.2" in mine.addresses
    assert first.instance_uuid in failure.instances
    assert str(failure).isprintable()


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
    found, (failure,) = checked(given, Passed())
    assert failure.subject == port(odd.name)
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
    found, (failure,) = checked(given, Passed())
    assert found.bridges[0].ports == ()
    assert str(failure.subject).isprintable()


@pytest.mark.parametrize(
    "host",
    [
        dhcp_host("rubbish", "10.0.0.2"),
        dhcp_host("rubbish", "rubbish"),
        dhcp_host("fa:16:3e:00:00:01\n", "10.0.0.2"),
        dhcp_host("fa:16:3e:00:00:01", "10.0.0.2", "a,ignore"),
        dhcp_host("fa:16:3e:00:00:01", "10.0.0.2", "_a"),
        dhcp_host("fa:16:3e:00:00:01", "10.0.0.2\n"),
    ],
)
def test_a_line_for_dnsmasq_that_is_odd_is_left_out(host):
    given = of_server(hosts=(host,))
    found, (failure,) = checked(given, Passed())
    assert found.dhcp_servers[0].hosts == ()
    assert failure.subject == DHCP
    assert failure.instances == (interface(1).instance_uuid,)
    assert failure.key == guest_key(interface(1).uuid)
