"""As a program: allocate for all instances at once, as a daemon does.

`green_ledger.py URL`: in green threads, through one ledger.  It says how many
transactions there were.
"""

import eventlet

eventlet.monkey_patch()

import sys  # noqa: E402

from flatnet import deadline  # noqa: E402
from flatnet.db import instances  # noqa: E402
from flatnet.db.engine import Database  # noqa: E402
from flatnet.db.orders import Order, Placing  # noqa: E402
from flatnet.ledger import Ledger  # noqa: E402


def main(url):
    database = Database(url)
    transactions = []

    def placement():
        transactions.append(1)
        return Placing("node1")

    ledger = Ledger(
        database,
        placement=placement,
        tell=lambda _: None,
        heed=lambda _: None,
    )

    def serve(instance):
        with deadline.within(30):
            found = ledger.living(instance.uuid)
            return ledger.allocate(Order(found.uuid))

    pool = eventlet.GreenPool()
    served = list(pool.imap(serve, instances.list_all(database)))
    assert all(each.networks for each in served)
    print(len(transactions))
    database.close()


if __name__ == "__main__":
    main(sys.argv[1])
