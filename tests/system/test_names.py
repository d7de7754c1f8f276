"""Two daemons with one `host`: a cloned machine, or a typo."""

import time

import sqlalchemy

from flatnet.db import models
from tests.system.rows import allocate, new_instance, new_network
from tests.system.test_accidents import configure, host, opened, refused


def test_the_second_of_a_name_touches_nothing(labs):
    lab = labs(nodes=2)
    first, clone = lab.node(1), lab.node(2)
    new_network(lab)
    uuid = new_instance(lab, "vm_1", "node1")
    [vif] = allocate(lab, uuid, "node1")
    clone.stop_daemon()
    configure(clone, "host = node2\n", "host = node1\n")
    before = host(clone)
    begun = time.monotonic()
    line = refused(clone)
    # Bounded by the contract, and not a matter of speed.
    assert time.monotonic() - begun < 30
    assert "host node1 is served by flatnet-manager on" in line
    assert first.spec.control_address in line
    assert host(clone) == before
    assert vif["devname"] in first.run("ip -br link")
    # It comes back at once after a crash, and lets go when it is stopped.
    first.kill_daemon()
    first.start_daemon()
    first.stop_daemon()
    clone.start_daemon()
    assert vif["devname"] in clone.run("ip -br link")


def test_who_was_silent_for_too_long_ends(labs):
    """Another has its name by now."""
    lab = labs(nodes=1, options=(("reconcile_interval", "2"),))
    node = lab.node(1)
    table = models.services
    statement = sqlalchemy.update(table).values(holder="somebody else")
    with opened(lab) as database:
        database.write(lambda c: c.execute(statement).rowcount)
    deadline = time.monotonic() + 30
    while node.daemon_runs:
        assert time.monotonic() < deadline, "it goes on"
        time.sleep(0.05)
    assert "another daemon serves as host node1" in node.log_text
    with opened(lab) as database:
        found = database.read(lambda c: c.execute(table.select()).one())
    assert (found.holder, found.state) == ("somebody else", "ready")
