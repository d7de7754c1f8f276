"""Many processes at once: no duplicate, no gap, nothing twice."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import insert

from flatnet.db import instances, models, networks
from flatnet.db.engine import Database
from flatnet.exceptions import Conflict
from tests.db.conftest import a_network, an_instance, rows, some_uuid
from tests.db.workers import Crowd

PROCESSES = 8


@pytest.fixture(scope="module")
def crowd():
    crowd = Crowd(PROCESSES)
    yield crowd
    crowd.close()


def some_instances(database, number):
    """Instances on two hosts; their ids."""
    values = [
        {"uuid": some_uuid(), "hostname": f"vm{n}", "host": f"node{n % 2}"}
        for n in range(number)
    ]
    database.write(
        lambda connection: (
            connection.execute(insert(models.instances), values).rowcount
        )
    )
    return [instance.id for instance in instances.list_all(database)]


def shares(ids):
    return [ids[n::PROCESSES] for n in range(PROCESSES)]


def check_whole(database, instances_served, hosts):
    """One interface and address each, distinct, from the pool's start."""
    ips = rows(database, models.fixed_ips)
    vifs = rows(database, models.virtual_interfaces)
    held = [row for row in ips if row["instance_uuid"]]
    assert len(vifs) == len(held) == instances_served
    assert len({row["address"] for row in vifs}) == instances_served
    assert {row["virtual_interface_id"] for row in held} == {
        row["id"] for row in vifs
    }
    assert len({row["instance_uuid"] for row in held}) == instances_served
    assert sorted(row["host"] for row in ips if row["host"]) == hosts
    assert len({row["address"] for row in ips}) == len(ips)
    positions = sorted(row["position"] for row in ips)
    assert positions == list(range(1, len(ips) + 1))


def test_eight_processes_leave_no_duplicate_and_no_gap(database, url, crowd):
    network = a_network(database, cidr="10.0.0.0/16")
    ids = some_instances(database, PROCESSES * 20)
    crowd.run(
        url, *(("allocate", share, network.uuid) for share in shares(ids))
    )
    check_whole(database, len(ids), ["node0", "node1"])
    assert len(rows(database, models.fixed_ips)) == len(ids) + 2


def test_one_instance_in_eight_processes_is_served_once(database, url, crowd):
    a_network(database)
    instance = an_instance(database)
    crowd.run(url, *[("allocate", [instance.id], "-")] * PROCESSES)
    check_whole(database, 1, ["node1"])


def test_one_host_address_from_eight_processes(database, url, crowd):
    network = a_network(database)
    crowd.run(url, *[("host", [1, 2, 3], network.uuid)] * PROCESSES)
    (row,) = rows(database, models.fixed_ips)
    assert (row["address"], row["host"]) == ("10.0.0.1", "node1")


def test_one_server_of_eight_that_claim_it(database, url, crowd):
    network = a_network(database, multi_host=False)
    hosts = [f"node{number}" for number in range(PROCESSES)]
    crowd.run(url, *(("claim", [host], network.uuid) for host in hosts))
    found = networks.get(database, "private")
    (row,) = rows(database, models.fixed_ips)
    assert found.host in hosts
    assert (row["address"], row["host"]) == ("10.0.0.1", found.host)


def test_allocations_and_deallocations_of_many_at_once(database, url, crowd):
    a_network(database, cidr="10.0.0.0/16")
    a_network(database, cidr="10.1.0.0/16", bridge="br101")
    ids = some_instances(database, PROCESSES * 4)
    crowd.run(url, *(("churn", share, "-") for share in shares(ids)))
    for network in networks.list_all(database):
        held = [
            row["address"]
            for row in rows(database, models.fixed_ips, network_id=network.id)
            if row["instance_uuid"]
        ]
        assert len(set(held)) == len(held) == len(ids)
    assert len(rows(database, models.virtual_interfaces)) == 2 * len(ids)


def test_one_instance_allocated_and_deallocated_at_once(database, url, crowd):
    a_network(database)
    instance = an_instance(database)
    tasks = [("allocate", [instance.id] * 5, "-")] * 4
    tasks += [("deallocate", [instance.id] * 5, "-")] * 4
    crowd.run(url, *tasks)
    crowd.run(url, ("allocate", [instance.id], "-"))
    vifs = rows(database, models.virtual_interfaces)
    held = rows(database, models.fixed_ips, instance_uuid=instance.uuid)
    assert len(vifs) == len(held) == 1
    assert held[0]["virtual_interface_id"] == vifs[0]["id"]


def test_green_threads_leave_no_duplicate_and_no_gap(database, url):
    a_network(database)
    ids = some_instances(database, 20)
    subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.db.green", url],
        cwd=Path(__file__).parents[2],
        check=True,
        timeout=60,
    )
    check_whole(database, len(ids), ["node0", "node1"])


def test_overlapping_networks_made_at_once_are_one(url, database):
    meeting = threading.Barrier(4)
    refused = []

    def create(number):
        mine = Database(url)
        meeting.wait(10)
        try:
            a_network(
                mine, cidr=f"10.0.0.0/{16 + number}", bridge=f"br{number}"
            )
        except Conflict as error:
            refused.append(error)
        mine.close()

    threads = [threading.Thread(target=create, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(networks.list_all(database)) == 1
    assert len(refused) == 3
