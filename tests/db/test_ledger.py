"""Calls that share a transaction: what each gets, and who is told what."""

import contextlib
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import event, text

from flatnet.db import (
    allocation,
    deallocation,
    memberships,
    models,
    security_groups,
)
from flatnet.db.batch import Batch
from flatnet.db.engine import Database
from flatnet.db.orders import (
    Bereft,
    Concerned,
    Farewell,
    Order,
    Placing,
    Served,
)
from flatnet.exceptions import (
    DatabaseUnavailable,
    FixedIpAlreadyInUse,
    InstanceNotFound,
    InvalidMacAddress,
    MacAddressInUse,
    NetworkNotFound,
    NoMoreFixedIps,
)
from tests.db.conftest import (
    a_network,
    allocate,
    an_instance,
    contents,
    rows,
    some_uuid,
)
from tests.db.gathering import SOON, Gathering, addresses, some, statements
from tests.db.servers import frozen

KILL = {
    "mysql": "KILL {}",
    "postgresql": "SELECT pg_terminate_backend({})",
}


def test_only_who_asks_for_what_cannot_be_fails(database):
    network = a_network(database)
    taken = an_instance(database)
    mac = "fa:16:3e:00:00:01"
    allocate(database, taken, macs=[mac])
    orders = some(database, 9)
    uuids = [order.instance_uuid for order in orders]
    asked = [
        orders[0],
        Order(some_uuid()),
        Order(uuids[1], requested=((network.uuid, "10.0.0.2"),)),
        Order(uuids[2], requested=((network.uuid, "10.0.0.4"),)),
        Order(uuids[3], requested=((network.uuid, "10.0.0.4"),)),
        Order(uuids[4], requested=((some_uuid(), None),)),
        Order(uuids[5], macs=("ten",)),
        Order(uuids[6], macs=(mac,)),
        orders[7],
        Order(uuids[8], requested=((network.uuid, "10.0.0.3"),)),
    ]
    answers = Gathering(database).allocate(asked[0], *asked[1:])
    kinds = [
        None if isinstance(each, Served) else type(each) for each in answers
    ]
    assert kinds == [
        None,
        InstanceNotFound,
        FixedIpAlreadyInUse,
        None,
        FixedIpAlreadyInUse,
        NetworkNotFound,
        InvalidMacAddress,
        MacAddressInUse,
        None,
        FixedIpAlreadyInUse,
    ]
    served = [each for each in answers if isinstance(each, Served)]
    assert addresses(*served) == ["10.0.0.3", "10.0.0.4", "10.0.0.5"]
    assert len(rows(database, models.virtual_interfaces)) == 4
    assert len(rows(database, models.port_bindings)) == 4


def test_a_pool_that_becomes_full_serves_the_first(database):
    a_network(database, cidr="10.0.0.0/29")
    a_network(database, cidr="10.1.0.0/24", bridge="br101")
    answers, _ = allocation.allocate_all(
        database, Batch(some(database, 8)), Placing("node1")
    )
    assert list(map(type, answers)) == [Served] * 5 + [NoMoreFixedIps] * 3
    # Nothing of those who failed is left in the network that had room.
    assert len(rows(database, models.virtual_interfaces)) == 10
    assert len(rows(database, models.fixed_ips)) == 12


def test_all_that_fail_write_nothing(database):
    a_network(database)
    before = contents(database)
    nobody = [Order(some_uuid()), Order(some_uuid())]
    answers, members = allocation.allocate_all(
        database, Batch(nobody), Placing("node1")
    )
    assert list(map(type, answers)) == [InstanceNotFound] * 2
    assert members == Concerned()
    assert contents(database) == before


def test_one_instance_twice_at_once_is_served_once(database):
    a_network(database)
    first, order = some(database, 2)
    _, one, another = Gathering(database).allocate(first, order, order)
    assert one == another
    assert addresses(one) == ["10.0.0.3"]
    assert len(rows(database, models.virtual_interfaces)) == 2
    farewells = [Farewell(order.instance_uuid, "node3")] * 2
    gone, _ = deallocation.deallocate_all(database, Batch(farewells))
    assert gone == (Bereft(order.instance_uuid, ("node1",)),) * 2


def test_who_names_nobody_has_his_own_error(database):
    """A hostname is nobody; a uuid may be that of one whose row is gone."""
    a_network(database)
    order, other = some(database, 2)
    allocation.allocate_all(database, Batch([order, other]), Placing("node1"))
    (row,) = rows(database, models.instances, uuid=order.instance_uuid)
    gone = some_uuid()
    names = ("vm0", order.instance_uuid.upper(), str(row["id"]), gone)
    answers, _ = deallocation.deallocate_all(
        database, Batch([*map(Farewell, names)])
    )
    assert isinstance(answers[0], InstanceNotFound)
    mine = Bereft(order.instance_uuid, ("node1",))
    assert answers[1:] == (mine, mine, Bereft(gone, ()))
    (left,) = rows(database, models.virtual_interfaces)
    assert left["instance_uuid"] == other.instance_uuid


def test_what_is_answered_is_what_is_written(database):
    one = a_network(database)
    two = a_network(database, cidr="10.1.0.0/24", bridge="br101")
    instance = an_instance(database)
    allocate(database, instance, requested=[(two.uuid, None)])
    order = Order(instance.uuid, requested=((one.uuid, None),))
    served = Gathering(database).allocate(order)[0]
    assert served.host == "node1"
    assert [
        (network.uuid, interface.addresses, bridge)
        for interface, network, bridge in served.networks
    ] == [
        (two.uuid, ("10.1.0.2",), "10.1.0.1"),
        (one.uuid, ("10.0.0.2",), "10.0.0.1"),
    ]
    vifs = rows(database, models.virtual_interfaces)
    assert [each.uuid for each, _, _ in served.networks] == [
        row["uuid"] for row in vifs
    ]
    assert served.networks[0][0].hostname == "vm_1"


def test_a_hundred_on_two_hosts_have_a_hundred_addresses(database, url):
    a_network(database, cidr="10.0.0.0/16")
    other = Database(url)
    here, there = Gathering(database), Gathering(other, "node2")
    got = []
    threads = [
        threading.Thread(
            target=lambda each, orders: got.extend(each.allocate(*orders)),
            args=(each, some(database, 50, each.host)),
        )
        for each in (here, there)
    ]
    with statements(database) as sent:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * SOON)
    other.close()
    held = addresses(*got)
    assert len(held) == len({*held}) == 100
    ips = rows(database, models.fixed_ips)
    assert sorted(row["position"] for row in ips) == list(range(1, 103))
    # Of this host, which has as many.
    assert sent.count("COMMIT") == 1


def test_a_connection_that_is_killed_in_the_midst(database, url):
    if database.dialect not in KILL:
        pytest.skip("SQLite has no server to kill a connection")
    a_network(database)
    killer = Database(url)
    killed = []

    def kill(connection, _cursor, statement, *_):
        if not killed and statement.startswith("INSERT INTO fixed_ips"):
            pid = connection.connection.dbapi_connection
            pid = getattr(pid, "info", None) or pid
            number = (
                pid.backend_pid
                if database.dialect == "postgresql"
                else pid.thread_id()
            )
            killed.append(number)
            order = text(KILL[database.dialect].format(number))
            killer.write(lambda c: c.execute(order).rowcount)

    event.listen(database._writing, "before_cursor_execute", kill)
    answers = Gathering(database).allocate(*some(database, 5))
    event.remove(database._writing, "before_cursor_execute", kill)
    killer.close()
    assert len(killed) == 1
    assert addresses(*answers) == [f"10.0.0.{n}" for n in range(2, 7)]
    assert len(rows(database, models.fixed_ips)) == 6


def test_a_commit_without_an_answer_is_told_to_all_as_that(database, url):
    if database.dialect == "sqlite":
        pytest.skip("SQLite has no server to be silent")
    a_network(database)
    orders = some(database, 3)
    hasty = Database(url, patience=3)
    gathering = Gathering(hasty)
    with contextlib.ExitStack() as stack:

        def freeze(_connection):
            stack.enter_context(frozen(database))

        event.listen(hasty._writing, "commit", freeze, once=True)
        answers = gathering.allocate(*orders)
    hasty.close()
    assert list(map(type, answers)) == [DatabaseUnavailable] * 3
    for each in answers:
        assert "whether it was written is not known" in str(each)
    # Asking again is safe.
    again, _ = allocation.allocate_all(
        database, Batch(orders), Placing("node1")
    )
    held = addresses(*again)
    assert sorted(held) == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]


def test_others_hear_once_of_members_that_a_rule_names(database):
    a_network(database)
    web, front, idle = (
        security_groups.create(database, name=name, project_id="demo").id
        for name in ("web", "front", "idle")
    )
    security_groups.create_rule(database, group=web, source_group=front)
    orders = some(database, 5)
    for order, group in zip(orders, (web, front, idle, front), strict=False):
        memberships.add_instance(
            database, group=str(group), instance=order.instance_uuid
        )
    named = sorted((orders[1].instance_uuid, orders[3].instance_uuid))
    gathering = Gathering(database)
    gathering.allocate(orders[4], *orders[:4])
    told = [each for each in gathering.told if each != Concerned()]
    assert told == [Concerned((front,), tuple(named))]
    farewells = [Farewell(order.instance_uuid) for order in orders]
    _, members = deallocation.deallocate_all(database, Batch(farewells))
    assert members == told[0]


def test_green_threads_share_transactions(database):
    a_network(database)
    some(database, 40)
    found = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "tests.db.green_ledger"),
            database.url,
        ],
        cwd=Path(__file__).parents[2],
        check=True,
        timeout=60,
        stdout=subprocess.PIPE,
        text=True,
    )
    # sqlite3 lets nobody else run, so that nobody gathers.
    assert int(found.stdout) < 40 or database.dialect == "sqlite"
    held = rows(database, models.fixed_ips)
    assert len({row["address"] for row in held}) == len(held) == 41
