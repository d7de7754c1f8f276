"""What becomes of a server: it is frozen whole, or somebody locks it."""

import contextlib
import os
import signal
from pathlib import Path

import sqlalchemy
from sqlalchemy import text

from flatnet.db.engine import Database
from tests.waiting import eventually

# What another client may hold in a transaction that it does not end.
HELD_ROWS = (
    "SELECT * FROM networks FOR UPDATE",
    "SELECT * FROM fixed_ips FOR UPDATE",
    "SELECT * FROM virtual_interfaces FOR UPDATE",
)


@contextlib.contextmanager
def frozen(database):
    """Let the server of a database stand still; its kernel goes on."""
    pids = server_pids(database)
    with contextlib.ExitStack() as stack:
        for pid in pids:
            stack.callback(_send, pid, signal.SIGCONT)
            _send(pid, signal.SIGSTOP)
        # Until the signal was taken each thread goes on, and commits.
        for pid in pids:
            eventually(lambda pid=pid: _stands(pid), "it does not stop")
        yield


def server_pids(database):
    """The processes of a server that this session started."""
    if database.dialect == "mysql":
        file = _value(database, "SELECT @@pid_file")
        return [int(Path(file).read_text())]
    directory = _value(database, "SHOW data_directory")
    lines = Path(directory, "postmaster.pid").read_text().splitlines()
    (pid,) = map(int, lines[:1])
    path = Path(f"/proc/{pid}/task/{pid}/children")
    # Whom it could still start comes first.
    return [pid, *map(int, path.read_text().split())]


def _stands(pid):
    """Whether no thread of a process runs, or it has ended."""
    states = []
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        # A thread may end meanwhile.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            states.append(stat.read_text().rpartition(") ")[2][0])
    return all(state in "TZX" for state in states)


def _send(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _value(database, statement):
    return database.read(lambda connection: connection.scalar(text(statement)))


@contextlib.contextmanager
def client(url, *statements):
    """Another client in the middle of a transaction that never ends.

    It ends with the block, with a ROLLBACK.
    """
    engine = sqlalchemy.create_engine(Database(url)._writing.url)
    try:
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
            yield connection
            connection.rollback()
    finally:
        engine.dispose()
