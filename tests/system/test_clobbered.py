"""What others do to a host is noticed by events, and put right at once.

No timer looks within a minute here: what comes back within seconds was
noticed.  What is neither ours nor what was done stays byte for byte.
"""

import json
import time
from pathlib import Path

import pytest

from flatnet.lab.lab import Lab
from flatnet.lab.spec import BRIDGE
from tests.system.conftest import fresh_spec
from tests.system.node_state import others, ours
from tests.system.rows import allocate, new_instance, new_network

SECONDS = 20
OPTIONS = (("allow_same_net_traffic", "False"), ("reconcile_interval", "60"))
FOREIGN = """
ip link add docker0 address 02:00:00:00:00:d0 type bridge
ip addr add 192.0.2.1/24 dev docker0
ip link set docker0 up
ip link add veth7 type veth peer name veth8
ip link set veth7 master docker0 up
sysctl -qw net.ipv4.conf.docker0.rp_filter=2
iptables -t mangle -A PREROUTING -i docker0 -j ACCEPT
nft add table inet theirs
nft add chain inet theirs first
nft add rule inet theirs first ip saddr 192.0.2.7 drop
"""
# Or ours is there again before.
TAKE_PORT = (
    "import os, socket, time; s = socket.socket(2, 2); os.kill({pid}, 9); "
    "time.sleep(0.01); s.bind((str(), 67)); time.sleep(2)"
)
# Each a script; {tap} and {other} are guests' ports, {stem} is what
# files of the DHCP server begin with, {pid} that server.
RULES = (
    "iptables -F",
    "iptables -t nat -F",
    # Rules that are back already name the sets: then once more.
    "until iptables -F && ip6tables -F && ipset destroy; do :; done",
    "nft flush ruleset",
    # As firewalld does at a reload, and services at a restart.
    "printf '*filter\\n:OWN - [0:0]\\n-A INPUT -j OWN\\nCOMMIT\\n' "
    "| iptables-restore",
)
RULE = (
    "iptables -D FORWARD 1",
    "iptables -F flatnet-local",
    "iptables -R flatnet-FORWARD 1 -j ACCEPT",
    # Under the name that ours has.
    "c=$(iptables -S flatnet-FORWARD 1 | grep -o 'flatnet:[0-9a-f]*'); "
    "iptables -R flatnet-FORWARD 1 -m comment --comment $c -j ACCEPT",
    "iptables -t filter -I FORWARD -j ACCEPT; iptables -D FORWARD 1",
    "iptables -P FORWARD DROP; iptables -P FORWARD ACCEPT",
    "ipset flush flatnet-filtered4",
    # The kernel refuses it where the tables are owned.
    "nft flush set bridge flatnet ports || true",
)
PORTS = (
    "ip link delete {tap}",
    "ip link set {tap} down",
    "ip link set {tap} nomaster",
    # Else the sixth would be a fight.
    "ip link set {other} address 02:00:00:00:00:77",
    "ip link set {other} down name tap1",
    "ip link set {other} master docker0",
    "bridge link set dev {tap} locked on",
)
BRIDGES = (
    f"ip link delete {BRIDGE}",
    f"ip link set {BRIDGE} down",
    f"ip addr flush dev {BRIDGE}",
    f"ip route flush dev {BRIDGE}",
    f"ip link set {BRIDGE} mtu 1300",
    f"ip link set {BRIDGE} type bridge stp_state 1",
    f"ip link set {BRIDGE} address 02:00:00:00:00:77",
    f"ip link set {BRIDGE} down name elsewhere",
)
UPLINKS = (
    "ip link set eth1 down",
    "ip link set eth1 nomaster",
    "ip link set eth1 down name lan0",
    "bridge link set dev eth1 state 0",
)
SETTINGS = (
    "sysctl -qw net.ipv4.ip_forward=0",
    "sysctl -qw net.bridge.bridge-nf-call-iptables=0",
    f"sysctl -qw net.ipv4.conf.{BRIDGE}.forwarding=0",
    "sysctl -qw net.ipv4.conf.eth2.forwarding=0",
    "sysctl -qw net.ipv6.conf.{tap}.disable_ipv6=0",
    f"sysctl -qw net.ipv6.conf.{BRIDGE}.disable_ipv6=0",
)
SERVERS = (
    "kill -KILL {pid}",
    "kill -TERM {pid}",
    "kill -STOP {pid}",
    f"python3 -c '{TAKE_PORT}' || true",
    "truncate -s 0 {stem}.hosts",
    "rm {stem}.hosts {stem}.names",
    "rm {stem}.pid",
    "rm {stem}.leases",
)


@pytest.fixture(scope="module")
def host():
    """A node with two filtered guests, and what others have on it."""
    with Lab(fresh_spec(nodes=1, vif_plug="tap", options=OPTIONS)) as lab:
        yield populated(lab)


def populated(lab):
    new_network(lab)
    taps = []
    for name in ("vm_1", "vm_2"):
        uuid = new_instance(lab, name, "node1")
        [vif] = allocate(lab, uuid, "node1")
        taps.append(vif["devname"])
    node = lab.node(1)
    for line in FOREIGN.strip().splitlines():
        node.run(line)
    return lab, node, taps


def clobbered(host, script):
    """Do it; return what others have before and after, once ours is back."""
    _, node, taps = host
    stem = str(node.spec.networks_path / f"flatnet-{BRIDGE}")
    pid = Path(f"{stem}.pid").read_text().strip()
    before, theirs = ours(node, taps), others(node, taps)
    names = {"tap": taps[0], "other": taps[1], "stem": stem, "pid": pid}
    node.run(["sh", "-c", script.format(**names)])
    begun = time.monotonic()
    while (found := ours(node, taps)) != before:
        if time.monotonic() > begun + SECONDS:
            assert found == before
        time.sleep(0.05)
    print(f"{time.monotonic() - begun:.2f} s: {script}")
    return theirs, others(node, taps)


@pytest.mark.parametrize(
    "script", [*RULE, *PORTS, *BRIDGES, *UPLINKS, *SETTINGS, *SERVERS]
)
def test_it_is_put_right_and_nothing_else_is_touched(host, script):
    before, after = clobbered(host, script)
    assert after == before


@pytest.mark.parametrize("script", RULES)
def test_who_flushes_rules_takes_his_own_away(host, script):
    """Those we do not put back; devices and settings stay."""
    before, after = clobbered(host, script)
    assert after[1:] == before[1:]


def test_a_fight_is_shown_until_it_has_ended(host):
    lab, node, _ = host
    # What was done to the others' ports lately makes the pauses longer.
    uuid = new_instance(lab, "vm_3", "node1")
    [vif] = allocate(lab, uuid, "node1")
    tap = vif["devname"]
    for _ in range(7):
        node.run(f"ip link set {tap} down")
        deadline = time.monotonic() + SECONDS
        while "UP" not in flags(node, tap):
            assert time.monotonic() < deadline, "it stays down"
            time.sleep(0.05)
    state = json.loads(lab.cli("host", "show", "node1", "-f", "json"))
    (fight,) = (e for e in state["fights"] if tap in e["what"])
    assert fight["what"] == f"port {tap}"
    assert fight["who"] == "somebody"
    assert fight["since"].endswith("Z")
    assert fight["times"] >= 5
    told = f"port {tap}: somebody undoes again and again"
    assert node.log_text.count(told) == 1


def flags(node, name):
    return json.loads(node.run(f"ip -j link show {name}"))[0]["flags"]
