"""Which names a real dnsmasq answers for, asked by a guest."""

import pytest
from dhcp_hosts import MAC_1, serving_host

from tests.builders import interface, settings, snapshot
from tests.planned import servers

CONVENTIONAL = ("wpad", "localhost", "metadata", "ISATAP", "novalocal")


@pytest.fixture
def host(namespaces, tmp_path):
    with serving_host(namespaces, tmp_path) as host:
        yield host


@pytest.fixture
def guest(host, namespaces, tmp_path):
    return host.guest(namespaces(), MAC_1, tmp_path / "guest")


def served(host, *rows):
    """Let dnsmasq serve what these rows mean; return the warnings."""
    found, warnings = servers(
        snapshot(interfaces=rows), settings(), {"br100": 1500}
    )
    host.apply_all(*found)
    return warnings


def told(guest, name):
    """The addresses of guests that a name has, plain and with the domain."""
    answers = guest.asks(name, "10.0.0.1") + guest.asks(
        f"{name}.novalocal", "10.0.0.1"
    )
    return {address for address, _ in answers if address.startswith("10.")}


def test_a_name_looked_up_by_convention_is_nobodys(host, guest):
    rows = [
        interface(number, hostname=name)
        for number, name in enumerate(CONVENTIONAL, start=2)
    ]
    warnings = served(host, interface(1), *rows)
    assert len(warnings) == len(CONVENTIONAL)
    assert guest.lease()["ip"] == "10.0.0.2"
    assert told(guest, "vm_1") == {"10.0.0.2"}
    assert {name: told(guest, name) for name in CONVENTIONAL} == {
        name: set() for name in CONVENTIONAL
    }
    for row in rows:
        assert guest.asks(row.addresses[0], "10.0.0.1") == []


def test_a_namesake_takes_no_name_away(host, guest):
    victim = interface(5, hostname="shop", instance_id=3)
    thief = interface(2, hostname="SHOP", instance_id=9)
    assert served(host, interface(1, instance_id=4), victim) == ()
    guest.lease()
    assert told(guest, "shop") == {"10.0.0.6"}
    (line,) = served(host, interface(1, instance_id=4), victim, thief)
    assert thief.instance_uuid in line
    assert told(guest, "shop") == {"10.0.0.6"}
    assert guest.asks("10.0.0.3", "10.0.0.1") == []
    assert served(host, interface(1, instance_id=4), thief) == ()
    assert told(guest, "shop") == {"10.0.0.3"}
