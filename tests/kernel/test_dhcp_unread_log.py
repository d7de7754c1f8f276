"""DHCP goes on while whoever keeps the system's log has stopped."""

import ctypes
import socket
import subprocess
from dataclasses import replace

import pytest
from dhcp_hosts import ACK, DISCOVER, MAC_1, OFFER, ask, line, serving_host

from flatnet.apply.dhcp.daemons import Running
from flatnet.apply.dhcp.dhcp import apply_dhcp
from flatnet.apply.dhcp.elsewhere import Elsewhere
from flatnet.apply.dhcp.leases import Leases
from flatnet.apply.dhcp.texts import Texts

CLONE_NEWNS = 0x00020000
DEVICES = ("null", "zero", "random", "urandom")
# Each tells the log of itself, which takes ten lines or so.
QUESTIONS = 60


@pytest.fixture
def host(namespaces, tmp_path):
    with serving_host(namespaces, tmp_path) as host:
        yield host


@pytest.fixture
def unread(tmp_path):
    """A socket that could be syslog's; nobody reads it."""
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        path.chmod(0o666)
        yield path


def applied(log, directory, *arguments, **named):
    """Apply where /dev/log is that socket, for us and whom we start."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(CLONE_NEWNS) == 0
    _mount("--make-rprivate", "/")
    directory.mkdir()
    _mount("-t", "tmpfs", "none", directory)
    for name, source in (
        *((each, f"/dev/{each}") for each in DEVICES),
        ("log", log),
    ):
        (directory / name).touch()
        _mount("--bind", source, directory / name)
    _mount("--rbind", directory, "/dev")
    return apply_dhcp(
        *arguments, Running(), Texts(), Leases(), Elsewhere(), **named
    )


def _mount(*words):
    subprocess.run(["mount", *words], check=True, timeout=10)


def test_guests_are_served_while_nobody_reads_the_log(
    host, namespaces, tmp_path, unread
):
    guest = namespaces()
    changes = host.namespace.call(
        applied,
        unread,
        tmp_path / "dev",
        (replace(host.server, hosts=(line(1),)),),
        networks_path=str(host.path),
        config_file="",
        skip=frozenset(),
    )
    assert changes.failures == ()
    client = host.guest(guest, MAC_1, tmp_path / "vm_1")
    assert client.lease()["ip"] == "10.0.0.2"
    for _ in range(QUESTIONS):
        [(kind, address, _)] = guest.call(
            ask, MAC_1, kind=DISCOVER, quiet=0.05
        )
        assert (kind, address) == (OFFER, "10.0.0.2")
    answers = client.renews("10.0.0.2", MAC_1)
    assert [each[0] for each in answers] == [ACK]
