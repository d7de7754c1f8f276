"""A database that is away when the daemon starts is waited for."""

import contextlib
import socket
import threading

import pytest
import sqlalchemy

from flatnet.cmd import waiting
from flatnet.db.engine import Database
from flatnet.exceptions import SchemaMismatch
from flatnet.lab.server_process import free_ports
from tests.db.conftest import an_instance


def pump(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def forwarder(port, there):
    """Until the block ends, lead a port of the loopback to a server."""

    def serve():
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(there, 10)
                for pair in ((near, far), (far, near)):
                    stack.enter_context(pair[0])
                    threading.Thread(
                        target=pump, args=pair, daemon=True
                    ).start()

    with socket.create_server(("127.0.0.1", port)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def test_a_server_is_waited_for(url, database, monkeypatch):
    if database.dialect == "sqlite":
        pytest.skip("a file")
    told = []
    monkeypatch.setattr(waiting, "notify", told.append)
    monkeypatch.setattr(waiting, "PAUSE", 0.05)
    there = sqlalchemy.make_url(url)
    (port,) = free_ports(1)
    away = Database(there.set(port=port).render_as_string(hide_password=False))
    waiter = threading.Thread(target=waiting.await_database, args=(away,))
    waiter.start()
    deadline = 200
    while len(told) < 2 and deadline:
        waiter.join(0.1)
        deadline -= 1
    # Once, however often it is asked.
    waiter.join(0.5)
    assert waiter.is_alive()
    first, second = told
    assert first == f"STATUS=waiting for the database {away.name}"
    assert second.startswith(f"{first}: ")
    assert "refused" in second
    with forwarder(port, (there.host, there.port)):
        waiter.join(30)
        assert not waiter.is_alive()
        an_instance(away)
        away.close()


def test_a_file_is_not_waited_for(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/nowhere/flatnet.sqlite")
    with pytest.raises(SchemaMismatch):
        waiting.await_database(database)
