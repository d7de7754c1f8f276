"""Accidents of operators: guests keep their network, and it is said why."""

import contextlib
import json

import pytest
import sqlalchemy

from flatnet.db import bindings, deallocation, models, schema
from flatnet.db.engine import Database
from flatnet.lab.node import program
from flatnet.lab.readable import program_trees, readable
from tests.system.cloud import eventually
from tests.system.rows import allocate, new_instance, new_network


def configure(node, old, new):
    """Change a line of a node's configuration."""
    text = node.spec.conf.read_text()
    assert old in text
    node.spec.conf.write_text(text.replace(old, new))


def refused(node):
    """Start the daemon, which ends; return the last line that it says."""
    command = [program("flatnet-manager"), "--config-file"]
    command.append(str(node.spec.conf))
    done = node.attempt(readable(command, program_trees()))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def host(node):
    """All of a host that an accident could cost."""
    links = json.loads(node.run("ip -j addr"))
    for link in links:
        for key in ("txqlen", "operstate"):
            link.pop(key, None)
    rules = [
        line.partition("[")[0]
        for line in node.run("iptables-save").splitlines()
        if not line.startswith("#")
    ]
    return links, rules, node.hosts_text()


@contextlib.contextmanager
def opened(lab):
    with contextlib.closing(Database(lab.database_url)) as database:
        yield database


def delete(lab, table, **wanted):
    """Delete rows as somebody with a prompt of SQL would."""
    statement = sqlalchemy.delete(table).filter_by(**wanted)
    with opened(lab) as database:
        database.write(lambda c: c.execute(statement).rowcount)


@pytest.fixture
def served(labs):
    """A lab of one node with a guest that has its lease."""
    lab = labs(nodes=1)
    new_network(lab)
    uuid = new_instance(lab, "vm_1", "node1")
    [vif] = allocate(lab, uuid, "node1")
    guest = lab.guest("vm_1", node=lab.node(1), vif_uuid=vif["id"])
    guest.dhcp()
    assert guest.ping("10.0.0.1")
    return lab, guest, uuid


def test_a_host_that_became_another_is_not_emptied(served):
    lab, guest, _ = served
    node = lab.node(1)
    node.stop_daemon()
    before = host(node)
    configure(node, "host = node1\n", "host = node1.example\n")
    for _ in range(2):
        line = refused(node)
        assert "knows none of the 1 ports" in line
        assert "(node1.example)" in line
        assert host(node) == before
    assert guest.ping("10.0.0.1")
    assert guest.dhcp().address == "10.0.0.2"
    configure(node, "host = node1.example\n", "host = node1\n")
    node.start_daemon()
    assert host(node) == before
    assert guest.ping("10.0.0.1")


def test_an_empty_database_empties_no_host(served):
    """As after a failover to one that was made for it."""
    lab, guest, _ = served
    node = lab.node(1)
    before = host(node)
    with opened(lab) as database:
        saved = {
            table: database.read(
                lambda c, table=table: [
                    dict(row) for row in c.execute(table.select()).mappings()
                ]
            )
            for table in models.metadata.sorted_tables
        }
        schema.downgrade(database, "base")
        delete(lab, models.instances)
        schema.upgrade(database)
        node.stop_daemon()
        assert "knows none of the 1 ports" in refused(node)
        assert host(node) == before
        assert guest.ping("10.0.0.1")

        def restore(connection):
            connection.execute(models.services.delete())
            for table, rows in saved.items():
                if rows:
                    connection.execute(table.insert(), rows)

        database.write(restore)
    node.start_daemon()
    assert host(node) == before


def test_an_instance_that_no_row_knows_is_shut_and_told(served):
    lab, guest, uuid = served
    node = lab.node(1)
    other = new_instance(lab, "vm_2", "node1")
    allocate(lab, other, "node1")
    delete(lab, models.fixed_ips, instance_uuid=uuid)
    delete(lab, models.virtual_interfaces, instance_uuid=uuid)
    state = json.loads(lab.cli("host", "reconcile", "node1", "-f", "json"))
    (warning,) = state["warnings"]
    assert uuid in warning
    assert not guest.ping("10.0.0.1")
    assert "tap" in node.run("ip -br link show master br100")


def test_another_kind_of_ports_waits_for_new_ones(served):
    lab, guest, uuid = served
    node = lab.node(1)
    node.stop_daemon()
    before = host(node)
    configure(node, "vif_plug = veth", "vif_plug = tap")
    node.start_daemon()
    assert host(node) == before
    assert guest.ping("10.0.0.1")
    allocate(lab, uuid, "node1")
    assert guest.ping("10.0.0.1")
    [vif] = allocate(lab, new_instance(lab, "vm_2", "node1"), "node1")
    assert "tun" in node.run(f"ip -d link show {vif['devname']}")


def test_what_a_host_is_shows_at_once(served):
    lab, _, uuid = served
    node = lab.node(1)

    def shown():
        (host_row,) = json.loads(lab.cli("host", "list", "-f", "json"))
        row = json.loads(lab.cli("instance", "show", "vm_1", "-f", "json"))
        return host_row["state"], row["state"]

    assert shown() == ("ready", "active")
    [vif] = allocate(lab, uuid, "node1")
    node.run(f"ip link set {vif['devname']} nomaster")
    eventually(shown, ("ready", "active"))
    node.stop_daemon()
    assert shown() == ("stopped", "away")
    done = lab.attempt_cli("host", "show", "node1")
    assert done.returncode == 1
    assert "stopped" in done.stderr
    node.start_daemon()
    assert shown() == ("ready", "active")


def test_deallocation_while_the_daemon_is_away(served):
    lab, guest, uuid = served
    node = lab.node(1)
    device = next(
        line.split("@")[0]
        for line in node.run("ip -br link show master br100").splitlines()
        if line.startswith("tap")
    )
    node.stop_daemon()
    with opened(lab) as database:
        assert deallocation.deallocate(database, instance_uuid=uuid) == (
            "node1",
        )
    assert guest.ping("10.0.0.1")
    node.start_daemon()
    assert device not in node.run("ip -br link")
    with opened(lab) as database:
        assert bindings.list_all(database) == ()


def test_a_database_that_is_away_at_boot_is_waited_for(served):
    """What ends is started again, but guests are started meanwhile."""
    lab, guest, _ = served
    node = lab.node(1)
    node.stop_daemon()
    before = host(node)
    nowhere = "mysql://flatnet:secret@127.0.0.1:9/flatnet"
    configure(node, lab.database_url, nowhere)
    node.begin_daemon()
    status = "STATUS=waiting for the database mysql+pymysql://flatnet:***@"
    eventually(
        lambda: any(
            line.startswith(status) and "refused" in line.lower()
            for line in node.notified
        ),
        True,
    )
    assert "READY=1" not in node.notified
    assert "secret" not in "".join(node.notified) + node.log_text
    assert node.daemon_runs
    node.stop_daemon()
    assert host(node) == before
    assert guest.ping("10.0.0.1")
    configure(node, nowhere, lab.database_url)
    node.start_daemon()
    assert host(node) == before
