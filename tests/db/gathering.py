"""Callers that gather while a transaction runs, and what is sent for them."""

import contextlib
import threading

from sqlalchemy import event, insert

from flatnet.db import models
from flatnet.db.orders import Order, Placing
from flatnet.ledger import Ledger
from tests.db.conftest import some_uuid
from tests.waiting import eventually

SOON = 60


class Callers:
    """Who asks, one after the other; what each got, in their order.

    `fold` is what they share then.
    """

    def __init__(self, ask, fold):
        self._ask, self._fold = ask, fold
        self._threads, self._got = [], {}

    def ask(self, item):
        """Ask, and return once it is at work, or waits behind who is."""
        number = len(self._threads)

        def call():
            try:
                self._got[number] = self._ask(item)
            except Exception as error:  # noqa: BLE001
                self._got[number] = error

        self._threads.append(threading.Thread(target=call))
        self._threads[-1].start()
        eventually(
            lambda: self._fold._is_busy and len(self._fold._waiting) == number,
            seconds=SOON,
        )

    def got(self):
        for thread in self._threads:
            thread.join(SOON)
        return [self._got[number] for number in range(len(self._threads))]


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
        callers = Callers(self.ledger.allocate, self.ledger._allocations)
        for order in orders:
            callers.ask(order)
        self.gate.set()
        return callers.got()


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
