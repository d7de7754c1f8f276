"""The part of `libraries` that talks to the broker and the database."""

from collections.abc import Sequence
from typing import Any

import oslo_messaging as messaging
import sqlalchemy
from oslo_config import cfg
from sqlalchemy import insert, select

from flatnet import rpc
from flatnet.config import conf
from flatnet.lab.bench.floor import METADATA, TABLE
from flatnet.lab.bench.libraries import TRANSACTIONS, Second, Transactions


class Libraries:
    """What callers may ask, as oslo.messaging finds it."""

    target = messaging.Target(version="1.0")

    def __init__(self, database: sqlalchemy.Engine, second: Second) -> None:
        self._database = database
        self._second = second

    def do(self, _context: Any, *, act: str, value: Any) -> str:
        """Have one thing done, with the statements that belong to it."""
        before, after = TRANSACTIONS.get(act, ((), ()))
        self._commit(before, value)
        self._second.ask(act, value)
        self._commit(after, value)
        return act

    def _commit(self, transactions: Transactions, name: str) -> None:
        for reads, writes in transactions:
            with self._database.begin() as connection:
                for number in range(reads):
                    one = TABLE.c.id == number
                    connection.execute(select(TABLE).where(one)).all()
                for _ in range(writes):
                    connection.execute(insert(TABLE).values(name=name))


def start(
    topic: str, url: str, options: Sequence[str], second: Second
) -> None:
    """Serve a topic from now on."""
    conf.register(cfg.CONF)
    cfg.CONF(options, project="flatnet", default_config_dirs=[])
    database = sqlalchemy.create_engine(url)
    METADATA.create_all(database)
    messaging.get_rpc_server(
        rpc.transport(cfg.CONF),
        messaging.Target(topic=topic, server=topic),
        [Libraries(database, second)],
        executor="eventlet",
    ).start()
