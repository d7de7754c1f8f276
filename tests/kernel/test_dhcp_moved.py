"""A guest that moved asks for its address again, in each way that there is.

The host that it left is silent, the one that it came to gives it the same
address and its own router, and nobody refuses it, who would take its address
away from it.
"""

import contextlib
import signal
import socket

import pytest
from dhcp_hosts import ACK, MAC_1, REQUEST, ask, line
from test_dhcp import host, other

from tests.waiting import eventually

__all__ = ["host", "other"]
ADDRESS, OLD, NEW = "10.0.0.2", "10.0.0.1", "10.0.0.4"
WANTED = bytes((50, 4)) + socket.inet_aton(ADDRESS)
TOLD = """#!/bin/sh
case $1 in bound|renew)
    ip addr replace $ip/$mask dev $interface
esac
echo $1 $ip $router $serverid >> {log}
"""


@pytest.fixture
def guest(host, namespaces, tmp_path):
    return host.guest(namespaces(), MAC_1, tmp_path / "vm_1")


def move(host, other):
    host.apply()
    other.apply(line(1))


def test_renewed_and_booted_anew(host, other, guest):
    host.apply(line(1))
    other.apply()
    guest.lease()

    def answers(**asked):
        return guest.namespace.call(
            ask, MAC_1, kind=REQUEST, patience=1, **asked
        )

    renew = {"address": ADDRESS, "server": OLD}
    assert answers(**renew) == [(ACK, ADDRESS, OLD)]
    move(host, other)
    # Renewal, rebinding, and a boot by a client that knows its address.
    assert answers(**renew) == []
    assert answers(address=ADDRESS) == [(ACK, ADDRESS, NEW)]
    assert answers(options=WANTED) == [(ACK, ADDRESS, NEW)]
    assert answers(address=ADDRESS, server=NEW) == [(ACK, ADDRESS, NEW)]
    assert guest.lease()["router"] == NEW


def test_a_real_client_goes_on(host, other, guest, tmp_path):
    host.apply(line(1))
    other.apply()
    log = tmp_path / "told"
    guest.script.write_text(TOLD.format(log=log))

    def told():
        return log.read_text().splitlines() if log.exists() else []

    client = guest.namespace.start(
        *("busybox", "udhcpc", "-i", "eth0", "-f", "-T", "1", "-A", "1"),
        *("-s", str(guest.script)),
    )
    with contextlib.ExitStack() as stack:
        stack.callback(client.wait)
        stack.callback(client.kill)
        eventually(lambda: told()[-1:] == [f"bound {ADDRESS} {OLD} {OLD}"])
        before = told()
        move(host, other)
        client.send_signal(signal.SIGUSR1)
        new = f"renew {ADDRESS} {NEW} {NEW}"
        eventually(lambda: told()[-1:] == [new])
        assert told() == [*before, new]
