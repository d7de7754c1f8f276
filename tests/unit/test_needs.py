"""What a host depends on, as addresses: from its options, once, in time."""

import socket
import threading

import pytest
from oslo_config import cfg
from oslo_messaging import TransportURL

from flatnet.cmd import needs
from flatnet.db.engine import Database
from flatnet.exceptions import HostSetupError
from flatnet.state.taken_addresses import InUse
from tests.builders import settings


@pytest.fixture
def broker():
    """A function that makes a configuration with this transport_url."""

    def conf(url):
        made = cfg.ConfigOpts()
        made([])
        # It makes the option known.
        TransportURL.parse(made, "rabbit://")
        made.set_override("transport_url", url)
        return made

    return conf


@pytest.fixture
def names(monkeypatch):
    """Names that are looked up; what is not there is not known."""
    known = {"db.example": ["192.0.2.30", "192.0.2.31"]}

    def look_up(name, *rest):
        if name.replace(".", "").isdigit():
            known.setdefault(name, [name])
        if name not in known:
            raise socket.gaierror("no such name")
        return [(2, 1, 6, "", (address, 0)) for address in known[name]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(needs, "routers", lambda: ("192.0.2.1",))
    return known


def test_who_is_needed(broker, names):
    url = "rabbit://u:p@192.0.2.10:5672,u:p@192.0.2.11:5672//"
    found = needs.needs(
        broker(url), settings(my_ip="192.0.2.5"), ["db.example"]
    )
    assert found.now == (
        InUse("192.0.2.1", needs.ROUTER),
        InUse("192.0.2.5", needs.MY_IP, is_own=True),
        InUse("192.0.2.10", needs.BROKER),
        InUse("192.0.2.11", needs.BROKER),
        InUse("192.0.2.30", needs.DATABASE),
        InUse("192.0.2.31", needs.DATABASE),
    )


def test_what_is_this_machines_to_itself_is_in_nobodys_way(
    broker, names, caplog
):
    names["localhost"] = ["127.0.0.1"]
    url = "rabbit://u:p@localhost:5672,u:p@127.0.0.1:5673,u:p@[2001:db8::1]//"
    found = needs.needs(broker(url), settings(), [])
    assert [each.what for each in found.now] == [needs.ROUTER]
    assert caplog.text == ""


def test_a_broker_on_this_host_is_known_as_such(broker, names):
    """One address may be needed twice; it is said whose first."""
    url = "rabbit://u:p@192.0.2.5:5672//"
    found = needs.needs(broker(url), settings(my_ip="192.0.2.5"), [])
    assert InUse("192.0.2.5", needs.BROKER) in found.now
    assert len(found.now) == 2


def test_a_name_that_nobody_knows_is_said_and_waited_for_no_longer(
    broker, names, monkeypatch, caplog
):
    found = needs.needs(
        broker("rabbit://u:p@broker.example//"), settings(), []
    )
    assert [each.what for each in found.now] == [needs.ROUTER]
    assert "the broker is called broker.example" in caplog.text
    silent = threading.Event()
    monkeypatch.setattr(needs, "PATIENCE", 0.1)
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_: [][silent.wait(60) :]
    )
    try:
        needs.needs(broker("rabbit://"), settings(), ["slow.example"])
    finally:
        silent.set()
    assert "the database is called slow.example" in caplog.text


def test_a_name_that_is_known_later_is_looked_up_again(broker, names, caplog):
    """A host that boots before its name server does."""
    url = "rabbit://u:p@mq.example//"
    found = needs.needs(broker(url), settings(), ["late.example"])
    assert caplog.text.count("has no known address") == 2
    assert not found.look()
    names["late.example"] = ["192.0.2.40"]
    assert found.look()
    assert InUse("192.0.2.40", needs.DATABASE) in found.now
    assert not found.look()
    names["mq.example"] = ["192.0.2.41"]
    assert found.look()
    assert [each.what for each in found.now] == [
        *(needs.ROUTER, needs.DATABASE, needs.BROKER),
    ]
    # It is told once.
    assert caplog.text.count("has no known address") == 2


@pytest.mark.parametrize("url", ["rabbit", "rabbit://u:p@h:port//", "://"])
def test_a_url_that_is_none_is_for_others_to_complain_of(broker, names, url):
    found = needs.needs(broker(url), settings(my_ip="192.0.2.5"), [])
    assert InUse("192.0.2.5", needs.MY_IP, is_own=True) in found.now


def test_routes_that_cannot_be_read_cost_the_routers_alone(
    broker, names, monkeypatch, caplog
):
    def unread():
        raise HostSetupError("the kernel lists no devices")

    monkeypatch.setattr(needs, "routers", unread)
    found = needs.needs(broker("rabbit://"), settings(my_ip="192.0.2.5"), [])
    assert [each.address for each in found.now] == ["192.0.2.5"]
    assert "the default routers are not known" in caplog.text


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("sqlite:////var/lib/flatnet/flatnet.sqlite", ()),
        ("mysql+pymysql://u:p@192.0.2.9/flatnet", ("192.0.2.9",)),
        ("mysql+pymysql://u:p@/flatnet?unix_socket=/run/mysqld.sock", ()),
        (
            "postgresql+psycopg2://u:p@/flatnet?host=db1:5432&host=db2:5432",
            ("db1", "db2"),
        ),
        ("postgresql+psycopg2://u:p@/flatnet?host=db1,db2", ("db1", "db2")),
        ("postgresql+psycopg2://u:p@/flatnet?host=/run/postgresql", ()),
    ],
)
def test_where_a_database_is(url, servers):
    database = Database(url)
    assert database.servers == servers
    database.close()
