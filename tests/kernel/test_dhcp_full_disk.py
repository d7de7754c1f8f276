"""A disk without room: guests that were known keep their service."""

import os
import signal
import subprocess

import pytest
from dhcp_hosts import MAC_1, MAC_2, line, lives, serving_host

from tests.effects import RELOADED, STARTED
from tests.waiting import eventually


@pytest.fixture
def host(namespaces, tmp_path):
    """A Host whose files lie on a small disk of their own."""
    disk = tmp_path / "node1"
    disk.mkdir()
    mount = "mount -t tmpfs -o size=128k,mode=755 none"
    subprocess.run([*mount.split(), disk], check=True)
    try:
        with serving_host(namespaces, tmp_path) as host:
            yield host
            (disk / "ballast").unlink(missing_ok=True)
    finally:
        subprocess.run(["umount", disk], check=True)


def fill(host):
    with open(host.path / "ballast", "ab", buffering=0) as stream:
        while True:
            try:
                stream.write(b"x" * 512)
            except OSError:
                return


def killed(host):
    pid = host.pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not lives(pid))


def test_one_that_was_killed_is_started_with_the_files_of_before(
    host, namespaces, tmp_path
):
    host.apply(line(1))
    fill(host)
    killed(host)
    known = [line(number) for number in range(1, 200)]
    told = host.failure(*known)
    assert told == (
        "its files cannot be written: No space left on device; who was known "
        f"before is served on: make room in {host.path}"
    )
    assert lives(host.pid)
    guest = host.guest(namespaces(), MAC_1, tmp_path / "vm_1")
    assert guest.lease()["ip"] == "10.0.0.2"
    # Nothing is forgotten when there is room again.
    (host.path / "ballast").unlink()
    assert RELOADED in host.apply(*known)
    other = host.guest(namespaces(), MAC_2, tmp_path / "vm_2")
    assert other.lease()["ip"] == "10.0.0.3"


def test_nothing_is_told_where_nothing_has_to_be_written(host):
    host.apply(line(1))
    killed(host)
    fill(host)
    assert host.apply(line(1)) == (STARTED,)


def test_without_files_of_before_nobody_is_served(host):
    host.path.mkdir(exist_ok=True)
    fill(host)
    assert "No space left on device" in host.failure(line(1))
    assert not (host.path / "flatnet-br100.pid").exists()
