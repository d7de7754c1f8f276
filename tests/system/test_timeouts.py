"""Whoever hangs, the daemon goes on: who reads its log, or the database."""

import contextlib
import fcntl
import os
import sqlite3

import pytest

from flatnet.db.engine import Database
from flatnet.exceptions import DatabaseUnavailable
from tests.system.rows import allocate, new_instance, new_network
from tests.system.test_daemon import wait_until

PASSES = (("reconcile_interval", "1"),)


def reported(lab):
    """How often node1 has reported."""
    with contextlib.closing(Database(lab.database_url)) as database:
        return database.read(
            lambda connection: connection.exec_driver_sql(
                "SELECT report_count FROM services WHERE host = 'node1'"
            ).scalar()
        )


@contextlib.contextmanager
def unread(path):
    """A full pipe in the place of a file; yields the end that is read."""
    path.unlink()
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        size = fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)
        os.write(writing, b"." * (size - 1) + b"\n")
        yield reading
    finally:
        os.close(reading)
        os.close(writing)
        path.unlink()
        path.touch()


def test_a_daemon_whose_log_nobody_reads(labs):
    lab = labs(nodes=1, options=PASSES)
    node = lab.node(1)
    new_network(lab)
    node.stop_daemon()
    with unread(node.spec.log) as reading:
        node.start_daemon()
        [vif] = allocate(lab, new_instance(lab, "vm_1", "node1"), "node1")
        node.run(f"ip link del {vif['devname']}")
        wait_until(
            lambda: vif["devname"] in node.run("ip -br link"),
            "the port did not come back",
        )
        before = reported(lab)
        wait_until(lambda: reported(lab) > before + 1, "no reports")
        text = drained(reading, "host node1 is ready")
        node.stop_daemon()
    # The reader is back, and has missed nothing.
    assert vif["devname"] in text
    assert "Traceback" not in text


def drained(reading, wanted):
    """What is read up to some text and what follows at once."""
    text = ""

    def more():
        nonlocal text
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(reading, 1 << 16):
                text += chunk.decode()
        return wanted in text

    wait_until(more, f"{wanted} was not said")
    return text


def test_a_database_that_somebody_holds(labs):
    """As a client that began to write and never ends it."""
    lab = labs(nodes=1, options=PASSES)
    node = lab.node(1)
    new_network(lab)
    served, new = (new_instance(lab, f"vm_{i}", "node1") for i in (1, 2))
    [vif] = allocate(lab, served, "node1")
    guest = lab.guest("vm_1", node=node, vif_uuid=vif["id"])
    guest.dhcp()
    with contextlib.closing(
        sqlite3.connect(lab.spec.database_file, isolation_level=None)
    ) as holder:
        holder.execute("BEGIN IMMEDIATE")
        before = reported(lab)
        with pytest.raises(DatabaseUnavailable):
            allocate(lab, new, "node1")
        wait_until(lambda: silent(node), "its silence was not said")
        # Others are answered meanwhile, and guests do not notice.
        assert guest.ping("10.0.0.1")
        assert lab.rpc().call("ping", arg=1, host="node1")["arg"] == 1
        assert reported(lab) == before
        assert rows_of(lab, new) == 0
        holder.execute("ROLLBACK")
    wait_until(lambda: reported(lab) > before, "no reports")
    assert len(silent(node)) == 1
    assert rows_of(lab, new) == 0
    [vif] = allocate(lab, new, "node1")
    assert vif["active"] is True


def silent(node):
    """What the log says of reports that are not written."""
    lines = node.log_text.splitlines()
    return [line for line in lines if "not reported, and trying on" in line]


def rows_of(lab, uuid):
    with contextlib.closing(sqlite3.connect(lab.spec.database_file)) as here:
        [(number,)] = here.execute(
            "SELECT COUNT(*) FROM fixed_ips WHERE instance_uuid = ?", (uuid,)
        )
        return number
