"""Who comes while a transaction waits for a network shares it."""

import contextlib
import threading
import time

import pytest

from flatnet.db import models, networks
from flatnet.db.engine import Database
from flatnet.db.orders import Farewell, Order, Placing
from flatnet.exceptions import InstanceNotFound
from flatnet.ledger import Ledger
from tests.db.conftest import a_network, allocate, an_instance, rows, some_uuid
from tests.db.gathering import SOON, addresses, some, statements


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


class Callers:
    """Who asks a fold, one after the other; what each got, in their order."""

    def __init__(self, fold):
        self._fold = fold
        self._threads, self._got = [], {}

    def ask(self, item):
        """Ask, and return once it is at work, or waits behind who is."""
        number = len(self._threads)

        def call():
            try:
                self._got[number] = self._fold.ask(item)
            except Exception as error:  # noqa: BLE001
                self._got[number] = error

        self._threads.append(threading.Thread(target=call))
        self._threads[-1].start()
        end = time.monotonic() + SOON
        while not (self._fold._is_busy and len(self._fold._waiting) == number):
            assert time.monotonic() < end
            time.sleep(0.001)

    def got(self):
        for thread in self._threads:
            thread.join(SOON)
        return [self._got[number] for number in range(len(self._threads))]


def test_who_allocates(database, url, ledger):
    network = a_network(database)
    orders = some(database, 5)
    callers = Callers(ledger._allocations)
    with statements(database) as sent:
        with locked(url, network):
            for order in orders:
                callers.ask(order)
        answers = callers.got()
    held = addresses(*(each.served for each in answers))
    assert held == [f"10.0.0.{n}" for n in range(2, 7)]
    assert sent.count("COMMIT") == 1


def test_who_wants_a_network_that_is_not_locked_is_next(database, url, ledger):
    one = a_network(database)
    two = a_network(database, cidr="10.1.0.0/24", bridge="br101")
    uuids = [order.instance_uuid for order in some(database, 4)]
    wanted = [
        Order(uuids[0], requested=((one.uuid, None),)),
        Order(uuids[1], requested=((two.uuid, None),)),
        Order(uuids[2]),
        Order(uuids[3], requested=((one.uuid.upper(), None),)),
    ]
    callers = Callers(ledger._allocations)
    with statements(database) as sent:
        with locked(url, one):
            for order in wanted:
                callers.ask(order)
        answers = callers.got()
    assert [addresses(each.served) for each in answers] == [
        ["10.0.0.2"],
        ["10.1.0.2"],
        ["10.0.0.4", "10.1.0.3"],
        ["10.0.0.3"],
    ]
    assert sent.count("COMMIT") == 2


def test_who_deallocates(database, url, ledger):
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
    callers = Callers(ledger._deallocations)
    with statements(database) as sent:
        with locked(url, one):
            for reference in references:
                callers.ask(Farewell(reference))
        answers = callers.got()
    assert isinstance(answers[4], InstanceNotFound)
    gone = [each.bereft for each in answers if each is not answers[4]]
    assert [(each.instance_uuid, each.hosts) for each in gone] == [
        (there[0].uuid, ("node1",)),
        (there[1].uuid, ("node1",)),
        (there[3].uuid, ("node1",)),
        (there[1].uuid, ("node1",)),
        (there[2].uuid, ("node1",)),
        (nobody, ()),
    ]
    assert sent.count("COMMIT") == 2
    assert rows(database, models.virtual_interfaces) == []
    held = rows(database, models.fixed_ips)
    assert not any(row["instance_uuid"] for row in held)
