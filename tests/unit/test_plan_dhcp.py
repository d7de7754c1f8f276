"""Whom the DHCP servers of a host know, and by which names."""

from dataclasses import replace

import pytest

from flatnet.apply.dhcp import dnsmasq
from flatnet.apply.dhcp.texts import Texts
from flatnet.exceptions import HostSetupError
from tests.builders import (
    dhcp_host,
    dhcp_server,
    interface,
    network,
    settings,
    snapshot,
)
from tests.planned import servers

MTUS = {"br100": 1450}


def planned(*interfaces, rows=None, **options):
    found, warnings = servers(
        snapshot(interfaces=interfaces, networks=(rows or network(),)),
        settings(**options),
        MTUS,
    )
    return found, warnings


def hosts_text(server):
    return Texts().of(server)["hosts"]


def test_a_host_knows_its_instances_by_address():
    (server,), warnings = planned(
        interface(10), interface(2), interface(1), dns_server=("192.0.2.53",)
    )
    assert warnings == ()
    assert server.router == "10.0.0.1"
    assert server.servers == ("192.0.2.53",)
    assert hosts_text(server) == (
        "fa:16:3e:00:00:01,vm_1.novalocal,10.0.0.2\n"
        "fa:16:3e:00:00:02,vm_2.novalocal,10.0.0.3\n"
        "fa:16:3e:00:00:0a,vm_10.novalocal,10.0.0.11\n"
    )
    line = dnsmasq.arguments(server, networks_path="/n", config_file="")
    options = [each for each in line if each.startswith("--dhcp-option=")]
    assert options == ["--dhcp-option=3,10.0.0.1", "--dhcp-option=26,1450"]
    assert Texts().of(server)["names"].splitlines()[0] == ("10.0.0.2 vm_1")


def test_only_first_interfaces_are_told_of_a_router():
    (server,), _ = planned(interface(1), interface(2, has_default_route=False))
    assert Texts().of(server)["opts"] == (
        "tag:flatnet0fa,tag:flatnet116,tag:flatnet23e,"
        "tag:flatnet300,tag:flatnet400,tag:flatnet502,3\n"
    )


def test_name_servers_are_asked_once_each():
    rows = network(dns1="192.0.2.54", dns2="192.0.2.53")
    given = {"dns_server": ("192.0.2.53", "192.0.2.55"), "rows": rows}
    (server,), _ = planned(**given)
    assert server.servers == ("192.0.2.53", "192.0.2.55")
    (server,), _ = planned(**given, use_network_dns_servers=True)
    assert server.servers == ("192.0.2.53", "192.0.2.55", "192.0.2.54")


def test_flat_manager_serves_nobody():
    assert planned(interface(1), dhcp=False) == ((), ())


def test_a_network_without_dhcp_is_not_served():
    assert planned(interface(1), rows=network(enable_dhcp=False)) == ((), ())


def test_a_network_with_one_gateway_of_its_own_hands_that_out():
    rows = network(gateway="10.0.0.254", multi_host=False)
    (server,), _ = planned(interface(1), rows=rows)
    assert server.router == "10.0.0.254"


@pytest.mark.parametrize(
    "hostname",
    [
        None,
        "",
        "x" * 64,
        "a,b",
        "a\nb",
        "set:x",
        "a b",
        "-a",
        "a-",
        "_a",
        "Ab--c",
        "xn--A",
        "a.b",
        "é",
        "ignore",
        "infinite",
        "3600",
        "2h",
        "fa:16:3e:00:00:09",
        "wpad",
        "WPAD",
        "localhost",
        "metadata",
        "isatap",
        "novalocal",
    ],
)
def test_a_bad_name_costs_the_name_and_not_the_address(hostname):
    odd = interface(1, hostname=hostname)
    (server,), warnings = planned(odd, interface(2), interface(3))
    line = hosts_text(server).splitlines()[0]
    assert line == "fa:16:3e:00:00:01,10.0.0.2"
    assert odd.instance_uuid in warnings[0]
    assert len(warnings) == 1
    assert all("\n" not in each for each in warnings)
    assert "vm_3" in hosts_text(server)


@pytest.mark.parametrize(
    "hostname", ["a", "9a", "vm-1", "VM_", "vm--1", "a_b-c", "x" * 63, "set"]
)
def test_a_good_name_is_kept(hostname):
    (server,), warnings = planned(interface(1, hostname=hostname))
    assert warnings == ()
    assert hosts_text(server) == (
        f"fa:16:3e:00:00:01,{hostname}.novalocal,10.0.0.2\n"
    )


@pytest.mark.parametrize(
    ("ids", "holder"), [((7, 8), 1), ((8, 7), 2), ((None, 9), 2)]
)
def test_of_namesakes_the_one_made_first_keeps_the_name(ids, holder):
    """Whatever uuid, address or spelling the other one comes with."""
    first = interface(1, hostname="vm_2", instance_id=ids[0])
    second = interface(2, hostname="VM_2", instance_id=ids[1])
    (server,), warnings = planned(second, first)
    named = {host.mac[-1]: host.name for host in server.hosts}
    assert {number for number, name in named.items() if name} == {str(holder)}
    (line,) = warnings
    one, two = first.instance_uuid, second.instance_uuid
    assert line.startswith(f"instance {two if holder == 1 else one}: ")
    assert f"is that of instance {one if holder == 1 else two}" in line


def test_who_may_not_have_a_name_takes_it_from_nobody():
    far = interface(1, hostname="vm_2", network_id=2, addresses=("10.1.0.2",))
    other = network(id=2, bridge="br200", cidr="10.1.0.0/24", enable_dhcp=0)
    rows = snapshot(
        interfaces=(far, interface(2)), networks=(network(), other)
    )
    (server,), warnings = servers(rows, settings(), MTUS)
    assert server.hosts == (
        dhcp_host("fa:16:3e:00:00:02", "10.0.0.3", "vm_2", number=2),
    )
    assert warnings == ()


def test_a_name_is_one_in_each_network():
    """Hosts have other networks, and all are to agree."""
    other = network(id=2, bridge="br200", cidr="10.1.0.0/24")
    far = interface(2, hostname="VM_1", network_id=2, addresses=("10.1.0.2",))
    rows = snapshot(
        interfaces=(interface(1), far),
        networks=(network(), other),
        host_addresses=((1, "10.0.0.1"), (2, "10.1.0.1")),
    )
    found, warnings = servers(rows, settings(), {**MTUS, "br200": 1500})
    assert [each.hosts[0].name for each in found] == ["vm_1", "VM_1"]
    assert warnings == ()


def test_a_line_of_a_leases_file_that_is_none_is_passed_over():
    text = (
        "duid 00:01\n"
        "99 fa:16:3e:00:00:01 10.0.0.2 vm_1 *\n"
        "99 06-fa:16:3e:00:00:02 10.0.0.3 * *\n"
        "99 fa:16:3e:00:00:03 --help * *\n"
    )
    assert dnsmasq.leases(text) == [("fa:16:3e:00:00:01", "10.0.0.2")]


SERVER = dhcp_server(
    cidr="10.0.0.0/22",
    domain="novalocal",
    servers=("192.0.2.53",),
)


def test_the_command_line():
    assert dnsmasq.arguments(SERVER, networks_path="/n", config_file="") == (
        "dnsmasq",
        "--conf-file=/dev/null",
        "--conf-file=/n/flatnet-br100.macs",
        "--pid-file=/n/flatnet-br100.pid",
        "--interface=br100",
        "--bind-dynamic",
        "--listen-address=10.0.0.1",
        "--except-interface=br100",
        "--except-interface=lo",
        "--dhcp-range=10.0.0.0,static,255.255.252.0,86400s",
        "--dhcp-lease-max=1024",
        "--dhcp-authoritative",
        "--dhcp-ignore=tag:!known",
        "--dhcp-ignore-names",
        "--dhcp-ignore-clid",
        "--dhcp-hostsfile=/n/flatnet-br100.hosts",
        "--dhcp-optsfile=/n/flatnet-br100.opts",
        "--dhcp-option=3,10.0.0.1",
        "--dhcp-option=26,1500",
        "--dhcp-leasefile=/n/flatnet-br100.leases",
        "--no-ping",
        "--log-async=100",
        "--no-hosts",
        "--addn-hosts=/n/flatnet-br100.names",
        "--addn-hosts=/n/flatnet-br100.elsewhere",
        "--domain-needed",
        "--rev-server=10.0.0.0/22",
        "--domain=novalocal",
        "--expand-hosts",
        "--local=/novalocal/",
        "--dns-forward-max=10000",
        "--no-resolv",
        "--all-servers",
        "--server=192.0.2.53",
    )


@pytest.mark.parametrize(
    "host",
    [
        dhcp_host("rubbish", "10.0.0.2"),
        dhcp_host("fa:16:3e:00:00:01\n", "10.0.0.2"),
        dhcp_host("fa:16:3e:00:00:01", "10.0.0.2", "a,ignore"),
        dhcp_host("fa:16:3e:00:00:01", "10.0.0.2", "a\nb"),
        dhcp_host("fa:16:3e:00:00:01", "10.0.0.2", "_a"),
    ],
)
def test_the_privileged_side_takes_no_text_on_trust(host):
    (server,), _ = planned(interface(1))
    with pytest.raises(HostSetupError):
        hosts_text(replace(server, hosts=(host,)))


def test_a_bridge_name_cannot_lead_out_of_the_directory():
    with pytest.raises(HostSetupError):
        dnsmasq.path("/n", "../x", "hosts")
