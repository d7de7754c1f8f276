"""Who a guest is to its DHCP server, whatever it says of itself."""

import os
import subprocess
import time

import pytest
from dhcp_hosts import (
    ACK,
    DECLINE,
    DISCOVER,
    OFFER,
    RELEASE,
    REQUEST,
    line,
    lives,
    serving_host,
)
from dhcp_pair import ADDRESSES, MACS, SERVER, Pair, about

from flatnet.apply.dhcp.daemons import our_daemons
from tests.effects import released


def client_id(data):
    return bytes((61, len(data))) + data


def of_mac(number):
    return client_id(b"\1" + bytes.fromhex(MACS[number].replace(":", "")))


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
        assert released(ADDRESSES[2], MACS[2]) in made
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
