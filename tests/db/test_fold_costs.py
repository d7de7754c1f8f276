"""Many who share a transaction cost as many statements as one alone."""

import re

import pytest
from sqlalchemy import text

from flatnet.db import allocation, deallocation, findings, models
from flatnet.db.batch import Batch
from flatnet.db.orders import Farewell, Placing
from flatnet.state.rows import Finding
from tests.db.conftest import (
    a_network,
    addresses_of,
    allocate,
    an_instance,
    bound_here,
    rows,
)
from tests.db.gathering import addresses, some, statements

# Of one transaction, its COMMIT among them.
MOST = 10
# Of one that allocates: the first locks, and the second reads all there is.
ALLOCATED = (
    "SELECT networks",
    "SELECT everything",
    "INSERT virtual_interfaces",
    "UPDATE networks",
    "INSERT fixed_ips",
    "INSERT port_bindings",
)
GIVEN_AGAIN = (
    "SELECT networks",
    "SELECT everything",
    "SELECT fixed_ips",
    "INSERT virtual_interfaces",
    "UPDATE fixed_ips",
    "INSERT port_bindings",
)


def kinds(sent):
    """What each statement does, and to which table."""
    return tuple(map(kind, sent))


def kind(statement):
    if " UNION ALL " in statement.replace("\n", " "):
        return "SELECT everything"
    found = re.match(
        r"(SELECT).*?\sFROM (\w+)|(INSERT) INTO (\w+)|(UPDATE) (\w+)",
        statement,
        re.DOTALL,
    )
    return " ".join(filter(None, found.groups())) if found else statement


def questions(database):
    """How many statements a MariaDB has had so far."""
    statement = text("SHOW GLOBAL STATUS LIKE 'Questions'")
    return database.read(lambda c: int(c.execute(statement).one()[1]))


@pytest.mark.parametrize("number", [1, 64])
def test_many_cost_as_many_statements_as_one(database, number):
    a_network(database, cidr="10.0.0.0/16")
    orders = some(database, number)
    with statements(database) as sent:
        answers, _ = allocation.allocate_all(
            database, Batch(orders), Placing("node1")
        )
    assert kinds(sent) == (*ALLOCATED, "COMMIT")
    assert len({*addresses(*answers)}) == number
    farewells = [Farewell(order.instance_uuid) for order in orders]
    with statements(database) as sent:
        deallocation.deallocate_all(database, Batch(farewells))
    assert len(sent) <= MOST
    assert rows(database, models.virtual_interfaces) == []


@pytest.mark.parametrize("number", [1, 64])
def test_that_is_what_the_server_sees(database, number):
    """A driver may make many of one."""
    if database.dialect != "mysql":
        pytest.skip("only MySQL counts statements by session")
    a_network(database, cidr="10.0.0.0/16")
    orders = some(database, number)
    farewells = [Farewell(order.instance_uuid) for order in orders]
    for call in (
        lambda: allocation.allocate_all(
            database, Batch(orders), Placing("node1")
        ),
        lambda: deallocation.deallocate_all(database, Batch(farewells)),
    ):
        before = questions(database)
        call()
        # With the question itself and the COMMIT of the one before.
        assert questions(database) - before <= MOST + 2


def test_what_is_sent_while_a_network_is_locked(database):
    """Whoever allocates next waits for each of these."""
    network = a_network(database)
    instance = an_instance(database)
    with statements(database) as sent:
        allocate(database, instance, requested=[(network.uuid, None)])
    if database.dialect != "sqlite":
        assert sent[0].endswith("FOR UPDATE")
    assert kinds(sent) == (*ALLOCATED, "COMMIT")


def test_a_full_network_gives_again_to_many_at_once(database):
    a_network(database, cidr="10.0.0.0/26")
    orders = some(database, 121)
    first, second = orders[:61], orders[61:]
    placement = Placing("node1", quarantine=0)
    allocation.allocate_all(database, Batch(first), placement)
    farewells = [Farewell(order.instance_uuid) for order in first]
    deallocation.deallocate_all(database, Batch(farewells))
    with statements(database) as sent:
        answers, _ = allocation.allocate_all(
            database, Batch(second), placement
        )
    assert kinds(sent) == (*GIVEN_AGAIN, "COMMIT")
    assert addresses(*answers) == [f"10.0.0.{n}" for n in range(2, 62)]
    held = rows(database, models.fixed_ips)
    vifs = rows(database, models.virtual_interfaces)
    ids = {row["instance_uuid"]: row["id"] for row in vifs}
    given = [row for row in held if row["instance_uuid"]]
    assert len(given) == 60
    for row in given:
        assert ids[row["instance_uuid"]] == row["virtual_interface_id"]
        assert row["allocated"] is True


def test_a_server_that_returns_no_rows_of_an_insert(database):
    """As MySQL does not."""
    if database.dialect != "mysql":
        pytest.skip("only MySQL is without RETURNING of an INSERT")
    a_network(database)
    a_network(database, cidr="10.1.0.0/24", bridge="br101")
    allocate(database, an_instance(database))
    database._writing.dialect.insert_returning = False
    instance = an_instance(database)
    allocate(database, instance)
    assert addresses_of(database, instance) == ["10.0.0.3", "10.1.0.3"]
    del database._writing.dialect.insert_returning


@pytest.mark.parametrize("number", [1, 64])
def test_what_a_pass_found_of_many_ports(database, number):
    a_network(database, cidr="10.0.0.0/16")
    orders = some(database, number)
    answers, _ = allocation.allocate_all(
        database, Batch(orders), Placing("node1")
    )
    for found in ("up", "missing"):
        new = [
            Finding(interface.uuid, interface.instance_uuid, found)
            for served in answers
            for interface, _, _ in served.networks
        ]
        known = bound_here(database, "node1")
        with statements(database) as sent:
            findings.record(database, host="node1", findings=new, known=known)
        # Ports that went and are wanted all the same are looked at.
        assert len(sent) <= {"up": 2, "missing": MOST}[found]
        bound = rows(database, models.port_bindings)
        assert [row["found"] for row in bound] == [found] * number
        assert all(row["seen_at"] for row in bound)


@pytest.mark.parametrize("number", [1, 64])
def test_that_many_ports_went(database, number):
    a_network(database, cidr="10.0.0.0/16")
    orders = some(database, number)
    allocation.allocate_all(database, Batch(orders), Placing("node1"))
    farewells = [Farewell(order.instance_uuid) for order in orders]
    deallocation.deallocate_all(database, Batch(farewells))
    known = bound_here(database, "node1")
    went = [
        Finding(each.interface_uuid, each.instance_uuid, "missing")
        for each in known.values()
    ]
    assert len(went) == number
    with statements(database) as sent:
        findings.record(database, host="node1", findings=went, known=known)
    assert len(sent) == 2
    assert rows(database, models.port_bindings) == []
