"""Who a guest is to its DHCP server, whatever it says of itself."""

import os
import socket
import subprocess
import time

import guarded
import pytest
from dhcp_hosts import (
    ACK,
    DECLINE,
    DISCOVER,
    OFFER,
    RELEASE,
    REQUEST,
    ask,
    line,
    lives,
    serving_host,
    wait_until,
)
from guarded import PORT_A, PORT_B, guarded_network, guarded_port

from flatnet.apply.daemons import our_daemons
from flatnet.apply.declines import Declines
from flatnet.apply.dhcp import ask_to_reload
from flatnet.state import Declined

SERVER = "10.0.0.1"
MACS = {number: line(number).mac for number in (1, 2)}
ADDRESSES = {number: line(number).address for number in (1, 2)}


def client_id(data):
    return bytes((61, len(data))) + data


def of_mac(number):
    return client_id(b"\1" + bytes.fromhex(MACS[number].replace(":", "")))


def about(address):
    """The options that name an address and the server."""
    return (
        bytes((50, 4))
        + socket.inet_aton(address)
        + bytes((54, 4))
        + socket.inet_aton(SERVER)
    )


class Pair:
    """Two guests of a host with a guard and a dnsmasq."""

    def __init__(self, host, namespaces):
        self.host = host
        self.guests = {}
        for number, port in ((1, PORT_A), (2, PORT_B)):
            space = self.guests[number] = namespaces()
            host.namespace.run(
                f"ip link add {port} type veth peer name eth0 netns "
                f"{space.name} address {MACS[number]}"
            )
            space.run("ip link set eth0 up")
            space.run(f"ip addr add {ADDRESSES[number]}/24 dev eth0")
            space.run("ip route add default via 10.0.0.1")
            host.enslave(port)
            wait_until(lambda port=port: host.passes(port))
        host.apply(line(1), line(2))

    def guard(self):
        ports = tuple(
            guarded_port(
                name, guarded.machine(MACS[number], ADDRESSES[number])
            )
            for number, name in ((1, PORT_A), (2, PORT_B))
        )
        networks = (guarded_network(bridge="br100"),)
        wanted = guarded.guard(*ports, networks=networks)
        self.host.namespace.call(guarded.applied, wanted)

    def says(self, number, *, mac=None, patience=5, **fields):
        return self.guests[number].call(
            ask, mac or MACS[number], patience=patience, **fields
        )

    def gets_its_address(self, number):
        offers = self.says(number, kind=DISCOVER)
        options = about(ADDRESSES[number])
        answers = self.says(number, kind=REQUEST, options=options)
        assert [each[:2] for each in offers + answers] == [
            (OFFER, ADDRESSES[number]),
            (ACK, ADDRESSES[number]),
        ]

    def leases(self):
        text = (self.host.path / "flatnet-br100.leases").read_text()
        return {line.split()[1] for line in text.splitlines()}


@pytest.fixture
def pair(namespaces, tmp_path):
    with serving_host(namespaces, tmp_path) as host:
        yield Pair(host, namespaces)


@pytest.mark.parametrize("kind", [DECLINE, RELEASE])
@pytest.mark.parametrize("server", [SERVER, "255.255.255.255"])
def test_nobody_speaks_to_the_server_in_anothers_name(pair, kind, server):
    pair.guard()
    pair.gets_its_address(2)
    pair.says(
        1,
        mac=MACS[2],
        kind=kind,
        address=ADDRESSES[2] if kind == RELEASE else "0.0.0.0",
        server=server,
        options=about(ADDRESSES[2]),
        patience=0.1,
    )
    # Served after it: one queue.
    pair.gets_its_address(1)
    assert MACS[2] in pair.leases()
    pair.gets_its_address(2)


def test_a_decline_in_anothers_name_is_worth_the_trouble(pair):
    """What the guard keeps away; the test above would fail without it."""
    pair.gets_its_address(2)
    pair.says(
        1,
        mac=MACS[2],
        kind=DECLINE,
        options=about(ADDRESSES[2]),
        patience=0.1,
    )
    assert pair.says(2, kind=DISCOVER, patience=1) == []


def test_what_a_guest_declines_is_known_and_served_again(pair):
    """Here by the listener alone; with the daemon in tests/system."""
    pair.guard()
    host = pair.host

    def heard():
        ears = Declines()
        ears.listen(["br100", "br7"])
        pair.gets_its_address(1)
        assert not ears.drain()
        pair.says(
            1,
            kind=DECLINE,
            options=about(ADDRESSES[1]),
            patience=0.1,
        )
        assert ears.drain()
        assert not ears.drain()
        return ears.known

    (known,) = host.namespace.call(heard)
    assert known == Declined("br100", ADDRESSES[1], MACS[1])
    assert pair.says(1, kind=DISCOVER, patience=1) == []
    ask_to_reload("br100", str(host.path))
    made = host.apply(line(1), line(2))
    assert made == ("dnsmasq br100: reloaded",)
    pair.gets_its_address(1)


def test_clones_with_one_client_identifier_keep_their_addresses(pair):
    """As of one machine-id; what a clone is called is its own business."""
    pair.guard()
    shared = client_id(b"\xff" + b"\0\1\2\3" + b"\0\2\0\0\xab\x11" + b"x" * 8)
    for _ in range(2):
        for number in (1, 2):
            offer = pair.says(number, kind=DISCOVER, options=shared)
            assert offer[0][:2] == (OFFER, ADDRESSES[number])
            options = about(ADDRESSES[number]) + shared
            answer = pair.says(number, kind=REQUEST, options=options)
            assert answer[0][:2] == (ACK, ADDRESSES[number])
    for number in (1, 2):
        renewed = pair.says(
            number,
            kind=REQUEST,
            address=ADDRESSES[number],
            server=SERVER,
            options=shared,
        )
        assert renewed == [(ACK, ADDRESSES[number], SERVER)]


@pytest.mark.parametrize("kind", [DISCOVER, DECLINE, RELEASE])
def test_anothers_client_identifier_is_no_key_to_its_lease(pair, kind):
    pair.guard()
    pair.gets_its_address(2)
    pair.says(
        1,
        kind=kind,
        address=ADDRESSES[1] if kind == RELEASE else "0.0.0.0",
        options=about(ADDRESSES[2]) + of_mac(2),
        patience=0.1,
    )
    pair.gets_its_address(1)
    assert MACS[2] in pair.leases()
    pair.gets_its_address(2)


def test_leases_of_before_stay_and_can_be_released(namespaces, tmp_path):
    """They were written with client identifiers."""
    with serving_host(namespaces, tmp_path) as host:
        later = int(time.time()) + 3600
        host.path.mkdir(mode=0o755)
        (host.path / "flatnet-br100.leases").write_text(
            "".join(
                f"{later} {MACS[n]} {ADDRESSES[n]} * 01:{MACS[n]}\n"
                for n in (1, 2)
            )
        )
        pair = Pair(host, namespaces)
        renewed = pair.says(
            2,
            kind=REQUEST,
            address=ADDRESSES[2],
            server=SERVER,
            options=of_mac(2),
        )
        assert renewed == [(ACK, ADDRESSES[2], SERVER)]
        made = host.apply(line(1))
        assert f"dnsmasq br100: released {ADDRESSES[2]} of {MACS[2]}" in made
        assert pair.leases() == {MACS[1]}


@pytest.mark.parametrize(
    "as_somebody",
    [
        ("setpriv", "--reuid=nobody", "--clear-groups", "--"),
        # There it has every capability, which are worth nothing here.
        (
            *("setpriv", "--reuid=nobody", "--clear-groups", "--"),
            *("unshare", "--user", "--map-root-user"),
        ),
    ],
)
def test_who_calls_himself_our_dnsmasq_is_not(pair, as_somebody):
    host = pair.host
    pid = host.pid
    name = f"--pid-file={host.path}/flatnet-br100.pid"
    script = f'exec -a dnsmasq /usr/bin/python3 -c "{_SLEEP}" "$0"'
    forged = host.namespace.start(
        *as_somebody, "bash", "-c", script, name, stdout=subprocess.PIPE
    )
    assert forged.stdout.readline() == b"ready\n"

    def seen():
        return our_daemons(str(host.path))

    assert "dnsmasq" in _cmdline(forged.pid)
    (daemon,) = host.namespace.call(seen)["br100"]
    assert daemon.pid == pid
    host.apply(line(1), line(2))
    assert host.pid == pid
    host.apply_all()
    assert not lives(pid)
    assert forged.poll() is None
    os.kill(forged.pid, 0)


_SLEEP = "import time; print('ready', flush=True); time.sleep(60)"


def _cmdline(pid):
    with open(f"/proc/{pid}/cmdline", encoding="utf-8") as stream:
        return stream.read().split("\0")[0]
