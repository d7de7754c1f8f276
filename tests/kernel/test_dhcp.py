"""Real dnsmasqs and real DHCP clients, on hosts that share a segment."""

import os
import re
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from flatnet.apply.dhcp import apply_dhcp
from flatnet.state import DhcpHost, DhcpServer

SCRIPT = """#!/bin/sh
case $1 in bound|renew)
    ip -4 addr flush dev $interface
    ip addr add $ip/$mask dev $interface
    env > {directory}/lease ;;
esac
"""
MAC_1 = "fa:16:3e:00:00:01"
MAC_2 = "fa:16:3e:00:00:02"


class Host:
    """A host with a bridge, whose dnsmasq is applied in it."""

    def __init__(self, namespace, directory, address="10.0.0.1"):
        self.namespace = namespace
        self.path = directory
        self.ports = 0
        namespace.run("ip link add br100 type bridge forward_delay 0")
        namespace.run(f"ip addr add {address}/24 dev br100")
        namespace.run("ip link set br100 up")
        self.server = DhcpServer(
            bridge="br100",
            address=address,
            cidr="10.0.0.0/24",
            router=address,
            mtu=1450,
            lease_time=3600,
            domain="novalocal",
        )

    def apply(self, *hosts, server=None):
        """Serve `hosts`, or the server that is given; return changes."""
        wanted = server or replace(self.server, hosts=hosts)
        return self.apply_all(wanted)

    def apply_all(self, *servers):
        changes = self.namespace.call(
            apply_dhcp,
            servers,
            networks_path=str(self.path),
            config_file="",
            skip=frozenset(),
        )
        assert changes.failures == ()
        return changes.made

    @property
    def pid(self):
        return int((self.path / "flatnet-br100.pid").read_text())

    def guest(self, namespace, mac, directory):
        """Plug a guest in; return what asks for a lease."""
        self.ports += 1
        tap = f"tap{self.ports}"
        self.namespace.run(
            f"ip link add {tap} type veth peer name eth0 netns "
            f"{namespace.name} address {mac}"
        )
        self.namespace.run(f"ip link set {tap} master br100 up")
        namespace.run("ip link set eth0 up")
        return Guest(namespace, directory)


class Guest:
    """A guest with busybox's DHCP client."""

    def __init__(self, namespace, directory):
        directory.mkdir()
        self.namespace = namespace
        self.directory = directory
        self.script = directory / "script"
        self.script.write_text(SCRIPT.format(directory=directory))
        self.script.chmod(0o755)

    def lease(self, *, tries=10):
        """Ask; return the answer as a dict, or none if nobody gave one."""
        (self.directory / "lease").unlink(missing_ok=True)
        command = (
            "busybox udhcpc -i eth0 -f -n -q -A 1 -T 1 -O mtu "
            f"-t {tries} -s {self.script}"
        )
        self.namespace.run(command, check=False)
        return self._answer()

    def _answer(self):
        path = self.directory / "lease"
        if not path.exists():
            return None
        lines = path.read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def asks(self, name, server):
        """The addresses that a name resolves to at `server`."""
        text = self.namespace.run(
            f"busybox nslookup {name} {server}", check=False
        )
        answer = text.partition("\n\n")[2]
        return re.findall(r"Address: (\S+)|name = (\S+)", answer)


@pytest.fixture
def host(namespaces, tmp_path):
    os.chmod(tmp_path, 0o755)
    for parent in tmp_path.parents:
        if parent.owner() == "root" and str(parent).startswith("/tmp/"):
            os.chmod(parent, 0o755)
    host = Host(namespaces(), tmp_path / "node1")
    yield host
    host.apply_all()


def line(number, name=None):
    return DhcpHost(
        f"fa:16:3e:00:00:{number:02x}", f"10.0.0.{number + 1}", name
    )


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


def test_who_is_not_in_the_file_gets_no_answer(host, namespaces, tmp_path):
    host.apply(line(1))
    stranger = host.guest(namespaces(), MAC_2, tmp_path / "stranger")
    assert stranger.lease(tries=3) is None
    guest = host.guest(namespaces(), MAC_1, tmp_path / "vm_1")
    assert guest.lease()["ip"] == "10.0.0.2"


def test_each_guest_is_answered_by_its_own_host(host, namespaces, tmp_path):
    other = Host(namespaces(), tmp_path / "node2", "10.0.0.4")
    host.namespace.run(
        f"ip link add up0 type veth peer name up0 netns {other.namespace.name}"
    )
    for each in (host, other):
        each.namespace.run("ip link set up0 master br100 up")
    host.apply(line(1))
    other.apply(line(2))
    first = host.guest(namespaces(), MAC_1, tmp_path / "vm_1")
    second = other.guest(namespaces(), MAC_2, tmp_path / "vm_2")
    # Twice: the second asks for what the first got, on a segment where the
    # other host hears it too and must not refuse it.
    for _ in range(2):
        assert first.lease()["serverid"] == "10.0.0.1"
        assert second.lease()["serverid"] == "10.0.0.4"
    other.apply_all()


def test_names_resolve_before_there_is_a_lease(host, namespaces, tmp_path):
    host.apply(line(1, "vm_1"), line(2, "vm_2"))
    guest = host.guest(namespaces(), MAC_1, tmp_path / "vm_1")
    guest.lease()
    assert ("10.0.0.3", "") in guest.asks("vm_2", "10.0.0.1")
    assert ("10.0.0.3", "") in guest.asks("vm_2.novalocal", "10.0.0.1")
    assert ("", "vm_2.novalocal") in guest.asks("10.0.0.3", "10.0.0.1")
    assert guest.asks("nobody.novalocal", "10.0.0.1") == []


def test_twice_is_once_and_more_is_a_reload(host, namespaces, tmp_path):
    host.apply(line(1))
    pid = host.pid
    files = {
        path: path.stat().st_mtime_ns for path in host.path.glob("*.hosts")
    }
    assert host.apply(line(1)) == ()
    assert all(p.stat().st_mtime_ns == t for p, t in files.items())
    made = host.apply(line(1), line(2))
    assert "dnsmasq br100: reloaded" in made
    assert host.pid == pid
    guest = host.guest(namespaces(), MAC_2, tmp_path / "vm_2")
    assert guest.lease()["ip"] == "10.0.0.3"


def test_a_killed_one_comes_back_and_another_line_restarts(host):
    host.apply(line(1))
    killed = host.pid
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: not lives(killed))
    assert host.apply(line(1)) == ("dnsmasq br100: started",)
    again = host.pid
    made = host.apply(server=replace(host.server, lease_time=7200))
    assert "dnsmasq br100: started" in made
    assert not lives(again)


def test_an_address_has_a_new_holder_at_once(host, namespaces, tmp_path):
    host.apply(line(1))
    first = host.guest(namespaces(), MAC_1, tmp_path / "old")
    assert first.lease()["ip"] == "10.0.0.2"
    made = host.apply(DhcpHost(MAC_2, "10.0.0.2"))
    assert f"dnsmasq br100: released 10.0.0.2 of {MAC_1}" in made
    second = host.guest(namespaces(), MAC_2, tmp_path / "new")
    assert second.lease()["ip"] == "10.0.0.2"


def test_what_leaves_the_plan_goes_with_its_files(host):
    host.apply(line(1))
    pid = host.pid
    assert "dnsmasq br100: stopped" in host.apply_all()
    assert not lives(pid)
    assert list(host.path.iterdir()) == []


def test_a_stale_pid_file_costs_nobody_anything(host):
    host.apply(line(1))
    os.kill(host.pid, signal.SIGKILL)
    wait_until(lambda: not lives(host.pid))
    innocent = subprocess.Popen(["sleep", "60"])
    try:
        (host.path / "flatnet-br100.pid").write_text(f"{innocent.pid}\n")
        assert host.apply(line(1)) == ("dnsmasq br100: started",)
        host.apply_all()
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


def test_a_foreign_dnsmasq_stays(host, tmp_path):
    host.namespace.run("ip addr add 192.0.2.1/24 dev br100")
    host.namespace.run(
        "dnsmasq --conf-file=/dev/null --port=5353 --bind-interfaces "
        f"--listen-address=192.0.2.1 --pid-file={tmp_path}/foreign.pid"
    )
    foreign = Path(f"/proc/{int((tmp_path / 'foreign.pid').read_text())}")
    host.apply(line(1))
    host.apply_all()
    assert foreign.exists()


def test_it_listens_on_the_bridge_alone(host):
    host.apply(line(1))
    sockets = host.namespace.run("ss -Hlntu")
    local = {each.split()[4] for each in sockets.splitlines()}
    assert local == {"10.0.0.1:53", "0.0.0.0%br100:67"}


def test_a_second_one_by_the_same_files_is_stopped(host):
    host.apply(line(1))
    first = host.pid
    arguments = Path(f"/proc/{first}/cmdline").read_bytes().split(b"\0")
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not lives(first))
    odd = [each.decode() for each in arguments[:-1]] + ["--log-queries"]
    host.namespace.run(*odd)
    wrong = host.pid
    made = host.apply(line(1))
    assert "dnsmasq br100: stopped one that differs" in made
    assert not lives(wrong)


def test_missing_tools_are_named(host, monkeypatch):
    monkeypatch.setattr("flatnet.apply.command._PATH", "/nowhere")
    server = replace(host.server, hosts=())
    changes = host.namespace.call(
        apply_dhcp,
        (server,),
        networks_path=str(host.path),
        config_file="",
        skip=frozenset(),
    )
    (failure,) = changes.failures
    assert failure.subject == "dhcp br100"
    assert "apt-get install dnsmasq-base" in failure.message


def lives(pid):
    """Whether a process runs; one that nobody waited for yet does not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
