"""Private servers: they start, serve, and leave nothing behind."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import kombu
import pytest
import sqlalchemy

from flatnet.lab import servers
from flatnet.lab.rabbitmq import RabbitMQ
from flatnet.lab.server_process import LabProcess, ServerError


def processes_of(directory):
    """Command lines of processes that have something open in there."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(directory):
                words = (process / "cmdline").read_bytes()
                if words:
                    found.append(words.replace(b"\0", b" ").decode())
    return found


def wait_until(condition, *, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def is_open(url):
    parts = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname, parts.port)) == 0


def echo(url):
    """What a message says after its way through the broker."""
    amqp = url.replace("rabbit:", "amqp:")
    with kombu.Connection(amqp) as connection:
        queue = connection.SimpleQueue("echo")
        queue.put("hello")
        message = queue.get(timeout=10)
        message.ack()
        queue.close()
        return message.payload


def test_rabbitmq_carries_messages_and_comes_back_after_a_loss(tmp_path):
    with RabbitMQ(tmp_path) as broker:
        url = broker.url
        assert echo(url) == "hello"

        broker.stop()
        assert not is_open(url)
        assert processes_of(tmp_path) == []

        broker.start()
        assert broker.url == url
        assert echo(url) == "hello"

        broker.kill()
        assert not is_open(url)
        broker.start()
        assert echo(url) == "hello"
    assert not is_open(url)
    wait_until(lambda: processes_of(tmp_path) == [])


@pytest.fixture
def namespace():
    name = f"fnt-svc-{os.getpid()}"
    for words in (
        ["ip", "netns", "add", name],
        ["ip", "-n", name, "link", "set", "lo", "up"],
        ["ip", "-n", name, "address", "add", "192.0.2.7/32", "dev", "lo"],
    ):
        subprocess.run(words, check=True)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=True)


def test_rabbitmq_lives_in_a_namespace(tmp_path, namespace):
    with servers.rabbitmq(
        tmp_path, address="192.0.2.7", namespace=namespace
    ) as url:
        port = urlsplit(url).port
        assert url == f"rabbit://guest:guest@192.0.2.7:{port}/"
        listening = subprocess.run(
            ["ip", "netns", "exec", namespace, "ss", "-Hltn"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert f"192.0.2.7:{port}" in listening
        # Nothing of it is to be reached from elsewhere.
        assert "0.0.0.0:" not in listening.replace("0.0.0.0:*", "")
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize("name", ["mariadb", "postgresql"])
def test_database_is_real_empty_and_gone_afterwards(tmp_path, name):
    with getattr(servers, name)(tmp_path / name) as url:
        engine = sqlalchemy.create_engine(url)
        assert sqlalchemy.inspect(engine).get_table_names() == []
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (a VARCHAR(9))")
            connection.exec_driver_sql("INSERT INTO t VALUES ('süß')")
        with engine.begin() as connection:
            rows = connection.exec_driver_sql("SELECT a FROM t").all()
        assert [tuple(row) for row in rows] == [("süß",)]
        # The pool's connection stays open: the server stops all the same.
    assert not is_open(url)
    wait_until(lambda: processes_of(tmp_path) == [])
    engine.dispose()


def test_an_error_inside_stops_the_server(tmp_path):
    with (
        pytest.raises(ZeroDivisionError),
        servers.postgresql(tmp_path) as url,
    ):
        raise ZeroDivisionError
    assert not is_open(url)


def test_a_server_that_ends_at_once_shows_its_log(tmp_path):
    server = LabProcess(
        ["sh", "-c", "echo no such option; exit 3"], log=tmp_path / "log"
    )
    with pytest.raises(ServerError, match=r"status 3(.|\n)*no such option"):
        server.wait_until(lambda: False)


def test_an_address_that_is_not_here_is_refused(tmp_path):
    with pytest.raises(ServerError, match=r"192\.0\.2\.99"):
        RabbitMQ(tmp_path, address="192.0.2.99").start()


# Who is started in a shell's background is told to ignore SIGINT.
PARENT = """
import signal, sys, time
from flatnet.lab import servers
signal.signal(signal.SIGINT, signal.default_int_handler)
with (
    servers.mariadb(sys.argv[1] + "/mariadb"),
    servers.postgresql(sys.argv[1] + "/postgresql"),
    servers.rabbitmq(sys.argv[1] + "/rabbitmq"),
):
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_servers_end_with_their_parent(tmp_path, how):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as parent:
        try:
            assert parent.stdout.readline() == b"ready\n"
            # Broker, port mapper, two databases and their helpers.
            assert len(processes_of(tmp_path)) >= 4
        finally:
            parent.send_signal(how)
            parent.communicate(timeout=60)
    wait_until(lambda: processes_of(tmp_path) == [])
