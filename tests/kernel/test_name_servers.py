"""Whom a guest's name server asks, and what it tells where nobody answers."""

import contextlib
import json

import pytest
from dhcp_hosts import MAC_1, serving_host
from name_servers import asked, name_server

from tests.builders import interface, network, settings, snapshot
from tests.planned import servers
from tests.waiting import eventually

GATEWAY = "10.0.0.1"
FIRST, SECOND, THIRD = "127.0.0.2", "127.0.0.3", "127.0.0.4"
ANSWER = ("NOERROR", ["192.0.2.99"])
NAMES = [f"n{number}.example.test" for number in range(3)]


@pytest.fixture
def host(namespaces, tmp_path):
    with serving_host(namespaces, tmp_path) as host:
        yield host


@pytest.fixture
def guest(host, namespaces, tmp_path):
    return host.guest(namespaces(), MAC_1, tmp_path / "guest")


def serve(host, guest, *, dns1=None, dns2=None, **options):
    """Serve a guest by rows and options."""
    rows = snapshot(
        interfaces=(interface(1),), networks=(network(dns1=dns1, dns2=dns2),)
    )
    found, _ = servers(rows, settings(**options), {"br100": 1500})
    host.apply_all(*found)
    assert guest.lease()["ip"] == "10.0.0.2"


def questions(log):
    return [json.loads(each) for each in log.read_text().splitlines()]


def test_all_that_are_named_are_asked_and_a_silent_one_holds_up_nobody(
    host, guest, tmp_path
):
    """Who is not answered asks again, and would be heard twice."""
    logs = {each: tmp_path / each for each in (FIRST, SECOND, THIRD)}
    serve(
        *(host, guest),
        dns_server=(FIRST, SECOND),
        use_network_dns_servers=True,
        dns1=THIRD,
        dns2=SECOND,
    )
    with contextlib.ExitStack() as stack:
        for address, log in logs.items():
            server = name_server(
                *(host.namespace, address, log), answers=address == SECOND
            )
            stack.enter_context(server)
        for name in NAMES:
            assert asked(guest, GATEWAY, name) == ANSWER
        heard = [NAMES] * len(logs)
        eventually(lambda: [*map(questions, logs.values())] == heard)


def test_servers_of_the_network_are_for_who_wants_them(host, guest, tmp_path):
    serve(host, guest, dns_server=(FIRST,), dns1=SECOND)
    log = tmp_path / "log"
    with (
        name_server(host.namespace, FIRST, tmp_path / "first"),
        name_server(host.namespace, SECOND, log),
    ):
        assert asked(guest, GATEWAY, NAMES[0]) == ANSWER
    assert questions(log) == []


@pytest.mark.parametrize("text", ["", None])
def test_where_there_is_no_name_server_that_is_said_at_once(
    host, guest, tmp_path, text
):
    resolv = tmp_path / "resolv.conf"
    if text is not None:
        resolv.write_text(text)
    host.config_file = str(tmp_path / "dnsmasq.conf")
    (tmp_path / "dnsmasq.conf").write_text(f"resolv-file={resolv}\n")
    serve(host, guest)
    assert asked(guest, GATEWAY, NAMES[0]) == ("REFUSED", [])
    assert asked(guest, GATEWAY, "vm_1") == ("NOERROR", ["10.0.0.2"])


def test_a_name_server_out_of_reach_is_refused_at_once(host, guest):
    serve(host, guest, dns_server=("198.51.100.1",))
    assert asked(guest, GATEWAY, NAMES[0]) == ("REFUSED", [])
