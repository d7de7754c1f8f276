"""A host whose admin drops what he does not allow, in every direction."""

import re
import socket
import struct
from dataclasses import replace

import pytest
from dhcp_hosts import MAC_1, line, serving_host
from rules import applied

from tests.builders import interface, network, settings, snapshot
from tests.planned import filter_plan, servers
from tests.waiting import eventually

UPSTREAM = {4: "192.0.2.9", 6: "2001:db8::9"}
POLICIES = "*filter\n:INPUT DROP\n:FORWARD DROP\n:OUTPUT DROP\nCOMMIT\n"
UUID = "00000001-0000-4000-8000-000000000000"


@pytest.fixture
def host(namespaces, tmp_path):
    with serving_host(namespaces, tmp_path) as host:
        outside = namespaces()
        host.namespace.run(
            f"ip link add ext0 type veth peer name eth0 netns {outside.name}"
        )
        for space, device, end in (
            (host.namespace, "ext0", 1),
            (outside, "eth0", 9),
        ):
            space.run(f"sysctl -qw net.ipv6.conf.{device}.accept_dad=0")
            space.run(f"ip addr add 192.0.2.{end}/24 dev {device}")
            space.run(f"ip addr add 2001:db8::{end}/64 dev {device}")
            space.run(f"ip link set {device} up")
        outside.run(
            "dnsmasq --conf-file=/dev/null --no-hosts --no-resolv "
            "--user=root --address=/far.example/198.51.100.7 "
            f"--pid-file={tmp_path}/outside.pid"
        )
        for tool in ("iptables", "ip6tables"):
            host.namespace.run(f"{tool}-restore", text=POLICIES)
        # What any host lets through; without it no neighbour is found.
        for chain in ("INPUT", "OUTPUT"):
            host.namespace.run(f"ip6tables -A {chain} -p icmpv6 -j ACCEPT")
        yield host


def plan(**options):
    """Apply to rows with one guest that nobody outside may reach."""
    rows = snapshot(
        interfaces=(interface(1, uuid=UUID),), networks=(network(),)
    )
    options = settings(routing_source_ip="", **options)
    (server,), _ = servers(rows, options, {"br100": 1450})
    return server, filter_plan(rows, options)[0]


def served(host, namespaces, tmp_path, **options):
    """A guest that got its lease of the closed host, and the rules."""
    server, rules = plan(**options)
    host.apply_all(server)
    guest = host.guest(namespaces(), MAC_1, tmp_path / "vm_1")
    assert guest.lease(tries=2) is None, "the host is not closed"
    applied(host.namespace, rules)
    assert guest.lease()["ip"] == "10.0.0.2"
    return guest


def asked_by_tcp(name, server):
    """The last address of the answer to a question by TCP."""
    labels = b"".join(
        bytes((len(each),)) + each.encode() for each in name.split(".")
    )
    question = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0)
    question += labels + struct.pack(">xHH", 1, 1)
    with socket.create_connection((server, 53), timeout=5) as asking:
        asking.sendall(struct.pack(">H", len(question)) + question)
        return socket.inet_ntoa(asking.recv(4096)[-4:])


def resolves(guest):
    """Assert that both kinds of names are answered, both ways."""
    for name, address in (
        ("vm_1.novalocal", "10.0.0.2"),
        ("far.example", "198.51.100.7"),
    ):
        assert (address, "") in guest.asks(name, "10.0.0.1"), name
        by_tcp = guest.namespace.call(asked_by_tcp, name, "10.0.0.1")
        assert by_tcp == address


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("same_net", [True, False])
def test_guests_are_served_by_name_servers_that_are_known(
    host, namespaces, tmp_path, family, same_net
):
    guest = served(
        host,
        namespaces,
        tmp_path,
        dns_server=(UPSTREAM[family],),
        allow_same_net_traffic=same_net,
    )
    resolves(guest)


@pytest.mark.parametrize("family", [4, 6])
def test_guests_are_served_by_those_of_the_host(
    host, namespaces, tmp_path, family
):
    resolv = tmp_path / "resolv.conf"
    resolv.write_text(f"nameserver {UPSTREAM[family]}\n")
    config = tmp_path / "dnsmasq.conf"
    config.write_text(f"resolv-file={resolv}\n")
    host.config_file = str(config)
    resolves(served(host, namespaces, tmp_path))
    # Nobody else is let out.
    refused = host.namespace.run(
        f"busybox nslookup far.example {UPSTREAM[4]}", check=False
    )
    assert "198.51.100.7" not in refused


def test_a_lease_is_released(host, namespaces, tmp_path):
    served(host, namespaces, tmp_path)
    leases = host.path / "flatnet-br100.leases"
    assert MAC_1 in leases.read_text()
    server, _ = plan()
    host.apply_all(replace(server, hosts=(line(2),)))
    eventually(lambda: MAC_1 not in leases.read_text())


def test_no_more_than_that_is_opened(host, namespaces, tmp_path):
    guest = served(host, namespaces, tmp_path)
    host.namespace.start("nc", "-lk", "-p", "22")
    reached = guest.namespace.run(
        "busybox nc -w 1 10.0.0.1 22", check=False, text="x"
    )
    assert reached == ""
    lines = host.namespace.run("iptables-save -c").splitlines()
    assert re.search(r"^:INPUT DROP \[[1-9]", "\n".join(lines), re.MULTILINE)
