"""The main job: rows become guests, each served by its own host."""

import contextlib
import json
import pwd
from pathlib import Path

import pytest

from flatnet.db.engine import Database
from flatnet.exceptions import (
    FixedIpAlreadyInUse,
    InstanceNotFound,
    NoMoreFixedIps,
)
from flatnet.lab.spec import OUTSIDE_ADDRESS
from tests.system.rows import allocate, new_instance, new_network

OWN = (("reconcile_interval", "2"),)


def address_of(information):
    return information[0]["network"]["subnets"][0]["ips"][0]["address"]


def devices(node):
    links = json.loads(node.run("ip -j link"))
    return {link["ifname"] for link in links}


@pytest.fixture(scope="module")
def cloud(request):
    """Two nodes and the article's four guests, allocated in its order."""
    lab = request.getfixturevalue("lab")
    new_network(lab)
    guests = {}
    for number, node in enumerate(("node1", "node1", "node2", "node2"), 1):
        name = f"vm_{number}"
        uuid = new_instance(lab, name, node)
        [vif] = allocate(lab, uuid, node)
        guest = lab.guest(
            name, node=lab.node(int(node[-1])), vif_uuid=vif["id"]
        )
        guests[name] = (uuid, vif, guest, guest.dhcp())
    return lab, guests


def test_the_articles_figures(cloud):
    _, guests = cloud
    found = {
        name: (lease.address, lease.router, lease.server)
        for name, (_, _, _, lease) in guests.items()
    }
    assert found == {
        "vm_1": ("10.0.0.2", "10.0.0.1", "10.0.0.1"),
        "vm_2": ("10.0.0.3", "10.0.0.1", "10.0.0.1"),
        "vm_3": ("10.0.0.5", "10.0.0.4", "10.0.0.4"),
        "vm_4": ("10.0.0.6", "10.0.0.4", "10.0.0.4"),
    }


def test_each_host_knows_its_own_instances_alone(cloud):
    lab, guests = cloud

    def lines(*names):
        return "".join(
            f"{guests[name][1]['address']},{name}.novalocal,"
            f"{guests[name][3].address}\n"
            for name in names
        )

    assert lab.node(1).hosts_text() == lines("vm_1", "vm_2")
    assert lab.node(2).hosts_text() == lines("vm_3", "vm_4")


def test_guests_reach_each_other_and_the_outside(cloud):
    _, guests = cloud
    first, third = guests["vm_1"][2], guests["vm_3"][2]
    assert first.ping("10.0.0.3")
    assert first.ping("10.0.0.5")
    assert third.ping("10.0.0.2")
    assert first.ping(OUTSIDE_ADDRESS)
    assert third.ping(OUTSIDE_ADDRESS)


def test_what_the_compute_service_is_told_is_true(cloud):
    lab, guests = cloud
    uuid, vif, _, _ = guests["vm_3"]
    again = lab.rpc().call(
        "get_instance_nw_info", instance_id=uuid, host="node2"
    )
    assert again == [vif]
    assert vif["devname"] in devices(lab.node(2))
    assert vif["network"]["subnets"][0]["gateway"]["address"] == "10.0.0.4"
    assert vif["active"] is True


def test_the_daemon_holds_no_privilege(cloud):
    lab, _ = cloud
    pid = lab.node(1).daemon_pid
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"
    wanted = pwd.getpwnam("nobody").pw_uid
    assert {int(uid) for uid in status["Uid"].split()} == {wanted}


def test_a_restart_changes_nothing_on_the_host(cloud):
    lab, guests = cloud
    node = lab.node(1)

    def state():
        return (
            node.run("iptables-save"),
            node.run("ip -o link"),
            node.run(f"pgrep -f pid-file={node.spec.networks_path}"),
            node.hosts_text(),
        )

    def without_counters(text):
        return [
            line.partition("[")[0]
            for line in text.splitlines()
            if not line.startswith("#")
        ]

    before = state()
    node.kill_daemon()
    assert guests["vm_1"][2].ping("10.0.0.5")
    node.start_daemon()
    after = state()
    assert without_counters(after[0]) == without_counters(before[0])
    assert after[1:] == before[1:]


def test_named_errors_over_the_wire(cloud):
    lab, guests = cloud
    uuid = new_instance(lab, "odd", "node1")
    network = guests["vm_1"][1]["network"]["id"]
    with pytest.raises(FixedIpAlreadyInUse, match=r"10\.0\.0\.4"):
        allocate(
            lab, uuid, "node1", requested_networks=[[network, "10.0.0.4"]]
        )
    with pytest.raises(InstanceNotFound):
        allocate(lab, "00000000-0000-4000-8000-000000000000", "node1")


def test_all_of_an_instance_goes_also_without_its_row(cloud):
    lab, _ = cloud
    uuid = new_instance(lab, "short", "node2")
    [vif] = allocate(lab, uuid, "node2")
    assert vif["devname"] in devices(lab.node(2))
    with contextlib.closing(Database(lab.database_url)) as database:
        database.write(
            lambda connection: connection.exec_driver_sql(
                "DELETE FROM instances WHERE uuid = ?", (uuid,)
            )
        )
    for _ in range(2):
        lab.rpc().call(
            "deallocate_for_instance", instance_id=uuid, host="node2"
        )
    assert vif["devname"] not in devices(lab.node(2))
    assert vif["address"] not in lab.node(2).hosts_text()


def test_a_pool_that_is_exhausted_gives_nothing_to_anybody(labs):
    lab = labs(nodes=1)
    new_network(lab, "10.9.0.0/30")
    allocate(lab, new_instance(lab, "one", "node1"), "node1")
    late = new_instance(lab, "two", "node1")
    before = lab.node(1).hosts_text()
    with pytest.raises(NoMoreFixedIps):
        allocate(lab, late, "node1")
    assert lab.node(1).hosts_text() == before


def test_flat_manager_attaches_and_does_no_more(labs):
    lab = labs(
        nodes=1,
        options=(("network_manager", "nova.network.manager.FlatManager"),),
    )
    node = lab.node(1)
    new_network(lab)
    uuid = new_instance(lab, "vm_1", "node1")
    [vif] = allocate(lab, uuid, "node1")
    assert address_of([vif]) == "10.0.0.1"
    links = {
        each["ifname"]: each for each in json.loads(node.run("ip -j addr"))
    }
    assert links["br100"]["addr_info"] == []
    assert links[vif["devname"]]["master"] == "br100"
    assert links["eth1"]["master"] == "br100"
    assert ":67" not in node.run("ss -Hlnu")
    assert "SNAT" not in node.run("iptables-save")


def test_what_others_took_away_comes_back(labs):
    lab = labs(nodes=1, options=OWN)
    node = lab.node(1)
    new_network(lab)
    uuid = new_instance(lab, "vm_1", "node1")
    [vif] = allocate(lab, uuid, "node1")
    guest = lab.guest("vm_1", node=node, vif_uuid=vif["id"])
    guest.dhcp()
    node.run("iptables -t nat -F")
    node.run("ip addr del 10.0.0.1/24 dev br100")
    lab.rpc().call("setup_networks_on_host", instance_id=uuid, host="node1")
    assert guest.ping("10.0.0.1")
    assert guest.ping(OUTSIDE_ADDRESS)
