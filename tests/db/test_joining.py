"""Who comes while a transaction waits for a network shares it."""

import contextlib
import threading

import pytest

from flatnet.db import models, networks
from flatnet.db.engine import Database
from flatnet.db.orders import Farewell, Order, Placing
from flatnet.exceptions import InstanceNotFound
from flatnet.ledger import Ledger
from tests.db.conftest import a_network, allocate, an_instance, rows, some_uuid
from tests.db.gathering import SOON, Callers, addresses, some, statements


@pytest.fixture
def ledger(database):
    return Ledger(
        database,
        placement=lambda: Placing("node1"),
        tell=lambda _: None,
        heed=lambda _: None,
    )


@contextlib.contextmanager
def locked(url, network):
    """Hold the row of a network, as another host does that gives from it."""
    other = Database(url)
    held, over = threading.Event(), threading.Event()

    def hold(connection):
        networks.locked_named(connection, [network.uuid])
        held.set()
        assert over.wait(SOON)

    thread = threading.Thread(target=other.write, args=(hold,))
    thread.start()
    assert held.wait(SOON)
    yield
    over.set()
    thread.join(SOON)
    other.close()


@pytest.fixture
def answered(database, url):
    """Return what asks while a network is locked: answers, and commits."""

    def ask(network, callers, items):
        with statements(database) as sent:
            with locked(url, network):
                for item in items:
                    callers.ask(item)
            answers = callers.got()
        return answers, sent.count("COMMIT")

    return ask


def test_who_allocates(database, ledger, answered):
    network = a_network(database)
    callers = Callers(ledger.allocate, ledger._allocations)
    answers, commits = answered(network, callers, some(database, 5))
    assert addresses(*answers) == [f"10.0.0.{n}" for n in range(2, 7)]
    assert commits == 1


def test_who_wants_a_network_that_is_not_locked_is_next(
    database, ledger, answered
):
    one = a_network(database)
    two = a_network(database, cidr="10.1.0.0/24", bridge="br101")
    uuids = [order.instance_uuid for order in some(database, 4)]
    wanted = [
        Order(uuids[0], requested=((one.uuid, None),)),
        Order(uuids[1], requested=((two.uuid, None),)),
        Order(uuids[2]),
        Order(uuids[3], requested=((one.uuid.upper(), None),)),
    ]
    callers = Callers(ledger.allocate, ledger._allocations)
    answers, commits = answered(one, callers, wanted)
    assert [addresses(each) for each in answers] == [
        ["10.0.0.2"],
        ["10.1.0.2"],
        ["10.0.0.4", "10.1.0.3"],
        ["10.0.0.3"],
    ]
    assert commits == 2


def test_who_deallocates(database, ledger, answered):
    one = a_network(database)
    two = a_network(database, cidr="10.1.0.0/24", bridge="br101")
    there = [an_instance(database) for _ in range(4)]
    for instance in there[:3]:
        allocate(database, instance, requested=[(one.uuid, None)])
    allocate(database, there[3], requested=[(two.uuid, None)])
    nobody = some_uuid()
    references = [
        there[0].uuid,
        there[1].uuid,
        # In a network that nobody has locked.
        there[3].uuid,
        there[1].uuid,
        "no name",
        there[2].uuid.upper(),
        nobody,
    ]
    callers = Callers(ledger.deallocate, ledger._deallocations)
    answers, commits = answered(one, callers, map(Farewell, references))
    assert isinstance(answers[4], InstanceNotFound)
    gone = [each for each in answers if each is not answers[4]]
    assert [(each.instance_uuid, each.hosts) for each in gone] == [
        (there[0].uuid, ("node1",)),
        (there[1].uuid, ("node1",)),
        (there[3].uuid, ("node1",)),
        (there[1].uuid, ("node1",)),
        (there[2].uuid, ("node1",)),
        (nobody, ()),
    ]
    assert commits == 2
    assert rows(database, models.virtual_interfaces) == []
    held = rows(database, models.fixed_ips)
    assert not any(row["instance_uuid"] for row in held)
