"""What a guest that finds its address in use makes of its DHCP server."""

import select
import time
from dataclasses import replace

import pytest
from dhcp_hosts import DECLINE, DISCOVER, line, serving_host
from dhcp_pair import ADDRESSES, MACS, SERVER, Pair, about

from flatnet.apply.dhcp.declines import Declines
from flatnet.apply.dhcp.dhcp import ask_to_reload
from flatnet.state.taken_addresses import Declined
from tests.effects import RELOADED
from tests.waiting import eventually


@pytest.fixture
def pair(namespaces, tmp_path):
    with serving_host(namespaces, tmp_path) as host:
        yield Pair(host, namespaces)


def test_a_decline_in_anothers_name_is_worth_the_trouble(pair):
    """What the guard keeps away; see test_dhcp_identity.py."""
    pair.gets_its_address(2)
    declines(pair, 1, ADDRESSES[2], mac=MACS[2])
    assert pair.says(2, kind=DISCOVER, patience=1) == []


def serves(pair, *numbers):
    return (replace(pair.host.server, hosts=tuple(map(line, numbers))),)


def listening(pair):
    ears = Declines()
    ears.listen(serves(pair, 1, 2))
    return ears


def declines(pair, number, address, *, mac=None, server=SERVER):
    options = about(address, server=server)
    pair.says(number, mac=mac, kind=DECLINE, options=options, patience=0.1)


def test_what_a_guest_declines_is_known_and_served_again(pair):
    """Here by the listener alone; with the daemon in tests/system."""
    pair.guard()
    host = pair.host

    def heard():
        ears = listening(pair)
        pair.gets_its_address(1)
        assert not ears.drain()
        declines(pair, 1, ADDRESSES[1])
        assert ears.drain()
        declines(pair, 1, ADDRESSES[1])
        assert not ears.drain()
        return ears.known

    (known,) = host.namespace.call(heard)
    assert known == Declined("br100", ADDRESSES[1], MACS[1])
    assert pair.says(1, kind=DISCOVER, patience=1) == []
    ask_to_reload("br100", str(host.path))
    made = host.apply(line(1), line(2))
    assert made == (RELOADED,)
    pair.gets_its_address(1)


@pytest.mark.parametrize(
    ("address", "server"),
    [
        (ADDRESSES[2], SERVER),
        ("10.0.0.77", SERVER),
        (ADDRESSES[1], "10.0.0.9"),
    ],
)
def test_what_dnsmasq_heeds_not_is_no_decline(pair, address, server):
    """Nor does it take memory, or wake anybody."""
    pair.guard()

    def heard():
        ears = listening(pair)
        declines(pair, 1, address, server=server)
        assert select.select(ears.sockets, [], [], 5)[0]
        return ears.drain(), ears.known

    assert pair.host.namespace.call(heard) == (False, ())
    for number in (1, 2):
        pair.gets_its_address(number)


def test_a_decline_is_over_as_it_is_for_dnsmasq(pair, monkeypatch):
    """When its files are read, when the guest leaves, after ten minutes."""
    pair.guard()

    def known_after(end):
        def heard():
            ears = listening(pair)
            declines(pair, 1, ADDRESSES[1])
            eventually(lambda: ears.drain() and ears.known)
            ears.listen(serves(pair, 1, 2))
            assert ears.known
            end(ears)
            return ears.known

        return pair.host.namespace.call(heard)

    assert known_after(lambda ears: ears.forget(["br100"])) == ()
    assert known_after(lambda ears: ears.listen(serves(pair, 2))) == ()
    clock = time.monotonic

    def passes(seconds):
        monkeypatch.setattr(time, "monotonic", lambda: clock() + seconds)

    assert known_after(lambda _: passes(500)) != ()
    assert known_after(lambda _: passes(601)) == ()
