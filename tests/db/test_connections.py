"""What the connections of a database share, and what readers are spared."""

import ssl
import threading
import time

import pytest
import sqlalchemy
from sqlalchemy import text

from flatnet import deadline
from flatnet.db import networks
from flatnet.db.engine import Database
from flatnet.db.tls import SharedContext
from flatnet.exceptions import DatabaseUnavailable
from tests.db.servers import frozen

AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


def contexts(database, number):
    """The TLS contexts of so many connections that are there at once."""
    meeting = threading.Barrier(number)
    found = []

    def read(connection):
        connection.scalar(text("SELECT 1"))
        meeting.wait(20)
        found.append(connection.connection.dbapi_connection.ctx)

    threads = [
        threading.Thread(target=database.read, args=(read,))
        for _ in range(number)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


def test_connections_share_one_context(database, url):
    if database.dialect != "mysql":
        pytest.skip("only PyMySQL makes a context for each")
    one, another = Database(url), Database(url)
    found = contexts(one, 4)
    assert len(found) == 4
    assert len({*map(id, found)}) == 1
    assert contexts(another, 1) != found[:1]
    # Nothing was asked for: it is encrypted as far as the server can.
    assert found[0].verify_mode == ssl.CERT_NONE
    one.close()
    another.close()


def test_who_demands_tls_is_refused_where_there_is_none(database, url):
    if database.dialect != "mysql":
        pytest.skip("only PyMySQL makes a context for each")
    given = sqlalchemy.make_url(url).update_query_dict({"ssl_ca": AUTHORITIES})
    strict = Database(given.render_as_string(hide_password=False))
    with pytest.raises(DatabaseUnavailable, match="SSL is required"):
        networks.list_all(strict)
    strict.close()


def test_a_file_that_was_renewed_makes_another_context(tmp_path):
    authority = tmp_path / "ca.pem"
    authority.write_text("one")
    shared, options = SharedContext(), {"ca": str(authority)}
    first = shared.get(options, ssl.create_default_context)
    assert shared.get(options, ssl.create_default_context) is first
    authority.write_text("another")
    second = shared.get(options, ssl.create_default_context)
    assert second is not first
    strict = {**options, "verify_mode": True}
    assert shared.get(strict, ssl.create_default_context) is not second


SETTINGS = {
    "mysql": "SHOW SESSION STATUS LIKE 'Com_set_option'",
    "postgresql": "SELECT setting FROM pg_settings WHERE name='lock_timeout'",
}


def test_readers_send_nothing_but_what_they_ask(database):
    """However little time they have."""
    if database.dialect == "sqlite":
        pytest.skip("SQLite has no settings of a session")

    def told(connection):
        return connection.execute(text(SETTINGS[database.dialect])).one()

    before = database.read(told)
    for seconds in (9, 5, 2):
        with deadline.within(seconds):
            assert database.read(told) == before


OWN = {
    "mysql": "SELECT CONNECTION_ID()",
    "postgresql": "SELECT pg_backend_pid()",
}
KILL = {
    "mysql": "KILL {}",
    "postgresql": "SELECT pg_terminate_backend({})",
}


@pytest.mark.parametrize("kind", ["read", "write"])
def test_a_connection_that_died_since_it_was_used(database, url, kind):
    """It is not asked whether it lives, and nobody notices."""
    if database.dialect == "sqlite":
        pytest.skip("SQLite has no server to kill a connection")
    own, kill = OWN[database.dialect], KILL[database.dialect]
    run = getattr(database, kind)
    first = run(lambda c: c.scalar(text(own)))
    other = Database(url)
    other.write(lambda c: c.execute(text(kill.format(first))).rowcount)
    other.close()
    assert run(lambda c: c.scalar(text(own))) != first


def test_a_server_that_falls_silent_just_after(database):
    """Whatever is sent first: a writer with little time says so first."""
    if database.dialect == "sqlite":
        pytest.skip("there is no server to be silent")
    for kind in (database.read, database.write):
        kind(lambda c: c.scalar(text("SELECT 1")))
        with (
            frozen(database),
            deadline.within(2),
            pytest.raises(DatabaseUnavailable),
        ):
            kind(lambda c: c.scalar(text("SELECT 1")))
        assert kind(lambda c: c.scalar(text("SELECT 1"))) == 1


@pytest.mark.parametrize(("seconds", "asked"), [(0, 0), (1.2, 1)])
def test_a_connection_that_has_just_worked_is_not_asked(
    database, seconds, asked
):
    """One that has rested is."""
    if database.dialect != "mysql":
        pytest.skip("only MySQL counts pings")
    pings = text("SHOW GLOBAL STATUS LIKE 'Com_admin_commands'")

    def sent():
        return int(database.read(lambda c: c.execute(pings).one()[1]))

    before = sent()
    time.sleep(seconds)
    assert sent() == before + asked
