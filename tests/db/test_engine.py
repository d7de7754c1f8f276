"""URLs, transactions, and databases that do not answer."""

import socket
import threading

import pytest
import sqlalchemy
from sqlalchemy import insert, select, text, update

from flatnet.db import instances, models, networks
from flatnet.db.engine import Database
from flatnet.exceptions import (
    ConfigurationError,
    DatabaseUnavailable,
    SchemaMismatch,
)
from tests.db.conftest import a_network, an_instance, contents, some_uuid


@pytest.fixture
def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("mysql://u:p@h/flatnet", "mysql+pymysql"),
        ("mariadb://u:p@h/flatnet", "mysql+pymysql"),
        ("mysql+pymysql://u:p@h/flatnet?charset=utf8mb4", "mysql+pymysql"),
        ("postgresql://u:p@h/flatnet", "postgresql+psycopg2"),
        ("sqlite:////tmp/flatnet.sqlite", "sqlite"),
    ],
)
def test_url_without_driver_gets_ours_and_no_password_is_shown(given, driver):
    database = Database(given)
    assert database.name.startswith(f"{driver}://")
    assert ":p@" not in database.name
    assert "?" not in database.name


@pytest.mark.parametrize(
    "given", ["", "nonsense:secret", "oracle://u:secret@h/x", "mysql+no://h/x"]
)
def test_url_of_no_use_is_refused_without_showing_it(given):
    with pytest.raises(ConfigurationError) as caught:
        Database(given)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["mysql", "postgresql"])
def test_server_that_is_down_gives_one_line_without_password(
    kind, closed_port
):
    url = f"{kind}://flatnet:secret@127.0.0.1:{closed_port}/flatnet"
    with pytest.raises(DatabaseUnavailable) as caught:
        networks.list_all(Database(url))
    said = str(caught.value)
    assert f"flatnet:***@127.0.0.1:{closed_port}/flatnet" in said
    assert "refused" in said
    assert "secret" not in said
    assert "\n" not in said


def test_sqlite_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(DatabaseUnavailable, match="unable to open"):
        networks.list_all(Database(f"sqlite:///{tmp_path}/missing/x.sqlite"))


def test_missing_tables_say_what_to_run(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/x.sqlite")
    with pytest.raises(SchemaMismatch, match="flatnet db upgrade"):
        networks.list_all(database)
    database.close()


def test_error_in_a_writer_changes_nothing(database):
    before = contents(database)

    def run(connection):
        connection.execute(
            insert(models.instances).values(uuid=some_uuid(), host="node1")
        )
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        database.write(run)
    assert contents(database) == before


def test_reader_sees_one_state_whatever_commits_meanwhile(database, url):
    other = Database(url)
    count = select(sqlalchemy.func.count()).select_from(models.instances)

    def run(connection):
        first = connection.scalar(count)
        an_instance(other)
        return first, connection.scalar(count)

    assert database.read(run) == (0, 0)
    assert database.read(lambda connection: connection.scalar(count)) == 1
    other.close()


def test_deadlock_is_run_again(database, url):
    """Two writers that lock two rows crosswise both get through."""
    one, two = an_instance(database), an_instance(database)
    meeting = threading.Barrier(2)
    runs = []

    def writer(first, second):
        def run(connection):
            runs.append(first)
            _touch(connection, first)
            if len(runs) <= 2 and database.dialect != "sqlite":
                meeting.wait(10)
            _touch(connection, second)

        mine = Database(url)
        mine.write(run)
        mine.close()

    threads = [
        threading.Thread(target=writer, args=pair)
        for pair in ((one.id, two.id), (two.id, one.id))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    hosts = [instance.hostname for instance in instances.list_all(database)]
    assert hosts == ["vm_1++", "vm_1++"]
    assert len(runs) == (2 if database.dialect == "sqlite" else 3)


def _touch(connection, instance_id):
    table = models.instances
    connection.execute(
        update(table)
        .where(table.c.id == instance_id)
        .values(hostname=table.c.hostname + "+")
    )


def test_broken_constraint_is_run_again_and_sees_the_other_row(database):
    an_instance(database, uuid="6ba7b810-9dad-11d1-80b4-00c04fd430c8")
    runs = []

    def run(connection):
        runs.append(1)
        uuid = some_uuid()
        if len(runs) == 1:
            uuid = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
        connection.execute(insert(models.instances).values(uuid=uuid))

    database.write(run)
    assert len(runs) == 2
    assert len(instances.list_all(database)) == 2


def test_connection_that_was_cut_is_made_anew(database):
    if database.dialect == "sqlite":
        assert networks.list_all(database) == ()
        return
    a_network(database)
    own = {
        "mysql": "SELECT CONNECTION_ID()",
        "postgresql": "SELECT pg_backend_pid()",
    }[database.dialect]
    kill = {
        "mysql": "KILL {}",
        "postgresql": "SELECT pg_terminate_backend({})",
    }[database.dialect]
    runs = []

    def run(connection):
        runs.append(connection.scalar(text(own)))
        if len(runs) == 1:
            killer = Database(database.url)
            killer.write(
                lambda other: other.execute(text(kill.format(runs[0]))) and 0
            )
            killer.close()
        return connection.scalar(select(models.networks.c.label))

    assert database.write(run) == "private"
    assert len(runs) == 2
    assert runs[0] != runs[1]
