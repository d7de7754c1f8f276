"""Callers that gather while a transaction runs, and what is sent for them."""

import contextlib
import threading
import time

from sqlalchemy import event, insert

from flatnet.db import models
from flatnet.db.orders import Order, Placing
from flatnet.ledger import Ledger
from tests.db.conftest import some_uuid

SOON = 60


class Gathering:
    """A ledger whose first transaction does not begin before `open`."""

    def __init__(self, database, host="node1"):
        self.gate = threading.Event()
        self.told, self.heeded = [], []
        self.host = host
        self.ledger = Ledger(
            database,
            placement=self._placement,
            tell=self.told.append,
            heed=self.heeded.append,
        )

    def _placement(self):
        assert self.gate.wait(SOON)
        return Placing(self.host)

    def allocate(self, *orders):
        """What the orders got, all in one transaction."""
        got = {}

        def ask(number, order):
            try:
                got[number] = self.ledger.allocate(order)
            except Exception as error:  # noqa: BLE001
                got[number] = error

        threads = []
        for number, order in enumerate(orders):
            thread = threading.Thread(target=ask, args=(number, order))
            thread.start()
            threads.append(thread)
            # In this order, and the first has to be at work by then.
            self._wait_for(number)
        self.gate.set()
        for thread in threads:
            thread.join(SOON)
        return [got[number] for number in range(len(orders))]

    def _wait_for(self, number):
        fold = self.ledger._allocations
        end = time.monotonic() + SOON
        while not (fold._is_busy and len(fold._waiting) == number):
            assert time.monotonic() < end
            time.sleep(0.001)


@contextlib.contextmanager
def statements(database):
    """A list that will have what is sent for writing, COMMIT included."""
    sent = []

    def note(_connection, _cursor, statement, *_):
        if not statement.startswith("BEGIN"):
            sent.append(statement)

    def end(_connection):
        sent.append("COMMIT")

    engine = database._writing
    event.listen(engine, "before_cursor_execute", note)
    event.listen(engine, "commit", end)
    yield sent
    event.remove(engine, "before_cursor_execute", note)
    event.remove(engine, "commit", end)


def some(database, number, host="node1"):
    """Orders for so many new instances."""
    values = [
        {"uuid": some_uuid(), "hostname": f"vm{n}", "host": host}
        for n in range(number)
    ]
    database.write(
        lambda c: c.execute(insert(models.instances), values).rowcount
    )
    return [Order(each["uuid"]) for each in values]


def addresses(*answers):
    """The addresses that instances got, in turn."""
    return [
        address
        for served in answers
        for interface, _, _ in served.networks
        for address in interface.addresses
    ]
