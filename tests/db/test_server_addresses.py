"""Servers that are called by a name: looked up in time, each address tried."""

import contextlib
import socket
import threading
import time

import pytest
from sqlalchemy import make_url

from flatnet import deadline
from flatnet.db import networks, server_addresses
from flatnet.db.engine import Database
from flatnet.exceptions import DatabaseUnavailable
from tests.db.test_timeouts import BOUND, PATIENCE

NAME = "db.example"
DEAD = "127.0.0.9"


@pytest.fixture
def resolver(monkeypatch):
    """What the name means, by a dict of its own."""
    known = {}
    real = socket.getaddrinfo

    def look_up(name, port, *rest, **more):
        if name != NAME:
            return real(name, port, *rest, **more)
        if not known.get(name):
            raise socket.gaierror("no such name")
        return [(2, 1, 6, "", (each, 0)) for each in known[name]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


@pytest.fixture
def server(database):
    """The URL of a server whose tables are empty."""
    parsed = make_url(database.url)
    if parsed.get_backend_name() == "sqlite":
        pytest.skip("a file has no name to look up")
    return parsed


def named(parsed, name, seconds=PATIENCE):
    """The database of a server that is called so."""
    url = parsed.set(host=name).render_as_string(hide_password=False)
    return contextlib.closing(Database(url, patience=seconds))


@contextlib.contextmanager
def mute(port):
    """What accepts at an address and never says a word."""
    with socket.create_server((DEAD, port)):
        yield


def test_an_address_that_is_silent_costs_its_share(server, resolver):
    resolver[NAME] = [DEAD, server.host]
    with mute(server.port), named(server, NAME, 2 * PATIENCE) as database:
        assert networks.list_all(database) == ()


def test_an_address_that_refuses_is_passed_over(server, resolver):
    resolver[NAME] = [DEAD, server.host]
    with named(server, NAME) as database:
        assert networks.list_all(database) == ()


def test_a_name_that_nobody_knows_is_told(server, resolver):
    with (
        named(server, NAME) as database,
        pytest.raises(DatabaseUnavailable, match=f"{NAME}.*no such name"),
    ):
        networks.list_all(database)


def test_the_second_of_several_hosts(server):
    if server.get_backend_name() != "postgresql":
        pytest.skip("its URL names one host")
    both = server.set(host=None, port=None).update_query_dict(
        {"host": [f"{h}:{server.port}" for h in (DEAD, server.host)]}
    )
    url = both.render_as_string(hide_password=False)
    with (
        mute(server.port),
        contextlib.closing(Database(url, patience=2 * PATIENCE)) as database,
    ):
        assert networks.list_all(database) == ()


def test_a_resolver_that_is_silent_is_not_waited_for(server, monkeypatch):
    silent = threading.Event()
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [][silent.wait(60) :]
    )
    begun = time.monotonic()
    try:
        with (
            named(server, NAME) as database,
            pytest.raises(DatabaseUnavailable, match="no name server"),
        ):
            networks.list_all(database)
    finally:
        silent.set()
    assert time.monotonic() - begun < BOUND


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_an_address_is_its_own(address, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", None)
    assert server_addresses.addresses(address) == (address,)


def test_the_last_failure_is_the_one_that_is_told():
    tried = []

    def fail(each):
        tried.append((each, deadline.left()))
        raise LookupError(each)

    with deadline.within(9), pytest.raises(LookupError, match="c"):
        server_addresses.first("abc", fail, LookupError)
    shares = [round(share) for _, share in tried]
    assert shares == [3, 4, 9]
