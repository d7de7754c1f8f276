"""The least that an allocation can be: a server that does just the work.

It answers on the lab's broker as a daemon does, in a namespace of its own, and
does by one step each what no allocation can do without; it checks nothing,
plans nothing, reads nothing back and forgets nothing.  What flatnet takes
beyond that is flatnet's.

It takes: the URL of the database, a directory, then the options of
oslo.config.
"""

import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import oslo_messaging as messaging
import sqlalchemy
from oslo_config import cfg

from flatnet import rpc
from flatnet.config import conf
from flatnet.lab.bench.callers import FLOOR
from flatnet.lab.bench.least import Host

SERVING = "the floor serves"
METADATA = sqlalchemy.MetaData()
# allocators.py, pool.py and libraries_server.py write to it too.
TABLE = sqlalchemy.Table(
    "floor",
    METADATA,
    sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
    sqlalchemy.Column("name", sqlalchemy.String(64)),
    mysql_engine="InnoDB",
)
_INSERT = sqlalchemy.text("INSERT INTO floor (name) VALUES (:name)")
_DELETE = sqlalchemy.text("DELETE FROM floor WHERE name = :name")


class Floor:
    """What callers may ask, as oslo.messaging finds it."""

    target = messaging.Target(version="1.0")

    def __init__(self, database: sqlalchemy.Engine, directory: Path) -> None:
        self._database = database
        self._host = Host(directory)
        self._turn = threading.Lock()

    def echo(self, _context: Any, *, name: str) -> str:
        """Answer at once."""
        return name

    def transaction(self, _context: Any, *, name: str) -> str:
        """Commit one row."""
        with self._database.begin() as connection:
            connection.execute(_INSERT, {"name": name})
        return name

    def allocate(self, _context: Any, *, name: str) -> str:
        """Commit one row, and make a port of a filtered guest."""
        with self._turn:
            self.transaction(_context, name=name)
            self._host.put(name)
        return name

    def deallocate(self, _context: Any, *, name: str) -> str:
        """Take the same away."""
        with self._turn:
            with self._database.begin() as connection:
                connection.execute(_DELETE, {"name": name})
            self._host.drop(name)
        return name

    def add_rule(self, context: Any, *, name: str) -> str:
        """Commit one row, and add a rule to a chain."""
        with self._turn:
            self.transaction(context, name=name)
            self._host.add_rule()
        return name

    def join(self, context: Any, *, name: str) -> str:
        """Commit one row, and add a member to a set."""
        with self._turn:
            self.transaction(context, name=name)
            self._host.join(name)
        return name

    def event_delay(self, _context: Any) -> float:
        """Milliseconds until the kernel tells of a change."""
        with self._turn:
            return self._host.event_delay()

    def hold(self, _context: Any, *, count: int) -> int:
        """Have so many guests before; their taps cost nobody anything."""
        with self._turn:
            self._host.hold(count)
        return count


def main() -> int:
    """Serve until SIGTERM."""
    warnings.simplefilter("ignore")
    url, directory, *options = sys.argv[1:]
    conf.register(cfg.CONF)
    cfg.CONF(options, project="flatnet", default_config_dirs=[])
    database = sqlalchemy.create_engine(url, pool_size=64)
    METADATA.create_all(database)
    server = messaging.get_rpc_server(
        rpc.transport(cfg.CONF),
        messaging.Target(topic=FLOOR, server=FLOOR),
        [Floor(database, Path(directory))],
        executor="threading",
    )
    server.start()
    print(SERVING, flush=True)
    signal.sigwait([signal.SIGTERM])
    return 0


if __name__ == "__main__":
    sys.exit(main())
