"""One host that serves a network for the guests of all: by packets."""

import contextlib
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from flatnet.db import networks
from flatnet.db.engine import Database
from flatnet.lab.spec import BRIDGE, OUTSIDE_ADDRESS
from flatnet.lab.topology import SWITCH
from tests import sockets
from tests.kernel import frames
from tests.system.cloud import clouds, eventually

SERVER = "10.0.0.1"
PINGS = ("ping", "-n", "-c", "30", "-i", "0.2", OUTSIDE_ADDRESS)


@pytest.fixture(scope="module")
def cloud():
    with clouds(multi_host=False, host="node1") as cloud:
        cloud.guests = {
            name: replace(placed, lease=placed.guest.dhcp())
            for name, placed in cloud.guests.items()
        }
        outside = cloud.namespaces["outside"]
        node1 = cloud.lab.node(1)
        way = f"10.0.0.0/24 via {node1.spec.public_address}"
        node1.run(f"ip -n {outside} route add {way}")
        yield cloud


@pytest.fixture
def lab(cloud):
    """For the report of a failure."""
    return cloud.lab


def test_one_host_serves_the_guests_of_all(cloud, lab):
    assert_served_by(cloud, "node1")
    for name, other in (("vm_1", "vm_4"), ("vm_3", "vm_1")):
        found = cloud.guests[name].guest.resolve(other)
        assert found == cloud.guests[other].address
    # Isolation is each host's own affair as ever.
    assert cloud.seen() == set()
    # And there is nothing more to do.
    done = [node.log_text for node in lab.nodes]
    for node in lab.nodes:
        lab.rpc().call("reconcile", host=node.name)
    assert [node.log_text for node in lab.nodes] == done


def test_nobody_else_answers_beyond_the_uplink(cloud, lab):
    """Nor speaks as the server: not to guests that it serves from afar."""
    placed = cloud.guests["vm_3"]
    heard = sockets.inside(
        placed.guest.namespace,
        socket.socket,
        socket.AF_PACKET,
        socket.SOCK_RAW,
    )
    heard.bind(("eth0", 0x0003))
    row = network(lab)
    forger, true = "02:00:00:00:66:66", row.server_mac
    sent = {
        "another server": answer(placed, forger, "10.0.0.250"),
        "in its name": answer(placed, forger, SERVER),
        "from its MAC": answer(placed, true, "10.0.0.250"),
        "a request": answer(placed, true, SERVER, ports=(68, 67)),
        "the server": answer(placed, true, SERVER),
        "to all": answer(placed, true, SERVER, target="255.255.255.255"),
    }
    with sockets.inside(
        lab.spec.namespace(SWITCH),
        socket.socket,
        socket.AF_PACKET,
        socket.SOCK_RAW,
    ) as voice:
        voice.bind((switch_device(lab), 0))
        for frame in sent.values():
            voice.send(frame)
    got = set()
    heard.settimeout(2)
    with contextlib.suppress(TimeoutError), heard:
        while "to all" not in got:
            frame = heard.recv(2048)
            got |= {name for name in sent if sent[name] in frame}
    assert got == {"the server", "to all"}


def test_the_role_moves_and_guests_keep_address_and_gateway(cloud, lab):
    with ThreadPoolExecutor() as threads:
        going = [
            threads.submit(cloud.guests[name].guest.run, PINGS)
            for name in ("vm_1", "vm_3")
        ]
        lab.cli("network", "set", "flat", "--host", "node2")
        # What went on meanwhile goes on, of both hosts' guests.
        for each in going:
            assert f"icmp_seq={PINGS[3]} ttl" in each.result()
    assert_served_by(cloud, "node2")
    shown = json.loads(lab.cli("network", "show", "flat", "-f", "json"))
    assert (shown["host"], shown["dhcp_server"]) == ("node2", SERVER)
    before = {name: placed.lease for name, placed in cloud.guests.items()}
    after = {name: p.guest.dhcp() for name, p in cloud.guests.items()}
    assert after == before


def test_a_host_that_died_is_relieved_by_a_row_and_comes_back(cloud, lab):
    """Its kernel answers still, which is no more believed."""
    node1, node2 = lab.nodes
    node2.kill_daemon()
    cloud.sql("UPDATE networks SET host = ?", ("node1",))
    eventually(lambda: holds(node1), True)
    assert holds(node2)
    for name in ("vm_1", "vm_2"):
        guest = cloud.guests[name].guest
        eventually(lambda guest=guest: guest.ping(OUTSIDE_ADDRESS), True)
        assert neighbour(guest) == network(lab).server_mac
    node2.start_daemon()
    assert_served_by(cloud, "node1")


def assert_served_by(cloud, name):
    """That host has the role, by all that can be seen, and no other has."""
    lab = cloud.lab
    for node in lab.nodes:
        eventually(lambda node=node: holds(node), node.name == name)
        eventually(lambda node=node: serves(node), node.name == name)
        state = lab.rpc().call("get_host_state", host=node.name)
        assert (state["state"], state["failures"]) == ("ready", [])
    for placed in cloud.guests.values():
        lease, guest = placed.lease, placed.guest
        assert (lease.address, lease.server) == (placed.address, SERVER)
        assert lease.router == guest.gateway() == SERVER
        eventually(lambda guest=guest: guest.ping(SERVER), True)
        eventually(lambda guest=guest: guest.ping(OUTSIDE_ADDRESS), True)
        for host in ("node1", "node2"):
            (vif,) = lab.rpc().call(
                "get_instance_nw_info", instance_id=placed.uuid, host=host
            )
            (subnet, _) = vif["network"]["subnets"]
            assert subnet["gateway"]["address"] == SERVER
            assert subnet["meta"] == {"dhcp_server": SERVER}


def holds(node):
    """Whether a node's bridge has the network's address."""
    return f"{SERVER}/24" in node.run(f"ip -br addr show {BRIDGE}")


def serves(node):
    """Whether a node has a DHCP server, which then knows all guests."""
    count = len(node.hosts_text().splitlines())
    assert count in (0, 4)
    return count == 4


def network(lab):
    with contextlib.closing(Database(lab.database_url)) as database:
        return networks.get(database, "flat")


def neighbour(guest):
    """The MAC that a guest knows its gateway by."""
    words = guest.run(["ip", "neigh", "show", SERVER]).split()
    return words[words.index("lladdr") + 1]


def switch_device(lab):
    lines = sockets.inside(lab.spec.namespace(SWITCH), socket.if_nameindex)
    return next(name for _, name in lines if name != "lo")


def answer(placed, mac, source, *, ports=(67, 68), target=None):
    """A frame as of a DHCP server, which says who sends it."""
    said = f"{mac} {source} {ports} {target}".encode()
    packet = frames.ip(
        source, target or placed.address, 17, frames.udp(*ports, said)
    )
    return frames.ether(placed.mac, mac, frames.IP, packet)
