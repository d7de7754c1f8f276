"""TFTP of guests that boot by network: a server answers from another port."""

import contextlib
import socket

import pytest
from filtered import plan
from namespaces import enter
from segment import guest, segment

from flatnet.apply.filter.iptables import gateway
from flatnet.apply.filter.iptables.firewall import apply_firewall
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.filtering import Filter
from tests.builders import settings, snapshot
from tests.planned import filter_plan

CLOSED = {"allow_same_net_traffic": False}


@pytest.fixture(scope="module")
def net():
    with segment() as built:
        yield built


@contextlib.contextmanager
def serving(host, directory):
    """A TFTP server that has the file `boot`."""
    (directory / "boot").write_text("kernel " * 500)
    server = host.start(
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--port=0",
        "--user=root",
        "--enable-tftp",
        f"--tftp-root={directory}",
        f"--pid-file={directory}/pid",
    )
    try:
        yield
    finally:
        server.kill()
        server.wait()


def gets(net, server, directory):
    """Whether guest 1 gets the file from a server."""
    got = directory / "got"
    got.unlink(missing_ok=True)
    net.guests[1].namespace.run(
        *("timeout", "3", "busybox", "tftp", "-g", "-r", "boot"),
        *("-l", str(got), server),
        check=False,
    )
    return got.exists() and got.read_text() == "kernel " * 500


@pytest.mark.parametrize("source", ["192.0.2.1", ""])
def test_a_guest_boots_from_beyond_its_host(net, tmp_path, source):
    plan(net, (guest(1), guest(2)), **CLOSED, routing_source_ip=source)
    with serving(net.outside.namespace, tmp_path):
        assert gets(net, "192.0.2.9", tmp_path)
        # Nobody else helps them: without this it does not pass.
        net.node.run("iptables -t raw -F flatnet-PREROUTING")
        assert not gets(net, "192.0.2.9", tmp_path)


def test_a_guest_boots_from_its_host(net, tmp_path):
    plan(net, (guest(1), guest(2)), **CLOSED)
    with serving(net.node, tmp_path):
        assert gets(net, "10.0.0.1", tmp_path)


def test_who_was_not_asked_does_not_answer(net):
    """Nor does the server at other ports than the guest asked from."""
    plan(net, (guest(1), guest(2)), **CLOSED, routing_source_ip="")
    far = net.outside.namespace
    far.run("ip address add 192.0.2.10/24 dev eth0")
    try:
        found = net.guests[1].namespace.call(
            answers, far.name, net.guests[2].namespace.name
        )
    finally:
        far.run("ip address del 192.0.2.10/24 dev eth0")
    assert found == {6000: ["from another port"], 6001: []}


def answers(far, neighbour):
    """What comes to a guest that asked 192.0.2.9 from port 6000, by port."""
    guests = {port: bound("10.0.0.2", port) for port in (6000, 6001)}
    guests[6000].sendto(b"\0\1boot\0octet\0", ("192.0.2.9", 69))
    enter(neighbour)
    stranger = bound("10.0.0.3", 3001)
    enter(far)
    other, server = bound("192.0.2.10", 3001), bound("192.0.2.9", 3001)
    stranger.sendto(b"from a neighbour", ("10.0.0.2", 6000))
    other.sendto(b"from another server", ("10.0.0.2", 6000))
    server.sendto(b"to another port", ("10.0.0.2", 6001))
    # The last one, for who is expected is expected once.
    server.sendto(b"from another port", ("10.0.0.2", 6000))
    return {port: list(received(each)) for port, each in guests.items()}


def bound(address, port):
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.settimeout(0.5)
    opened.bind((address, port))
    return opened


def received(ear):
    with contextlib.suppress(TimeoutError):
        while True:
            yield ear.recv(100).decode()


def test_a_kernel_that_cannot_costs_one_line(net, monkeypatch):
    monkeypatch.setattr(gateway, "_TFTP", "nosuch")
    rows = snapshot(interfaces=(guest(1),))
    wanted, _ = filter_plan(rows, settings(**CLOSED))
    net.node.call(apply_firewall, Filter(), WorkerCache())

    def passes():
        known = WorkerCache()
        return [apply_firewall(wanted, known) for _ in range(3)]

    first, *later = net.node.call(passes)
    (line,) = first.warnings
    assert line.startswith("guests get no answers by TFTP")
    assert "\n" not in line
    assert all(each.failures == () for each in (first, *later))
    assert all((each.made, each.warnings) == ((), ()) for each in later)
    assert "flatnet-tree" in net.node.run("iptables-save")
