"""The operator's tool against daemons on a real RabbitMQ."""

import time

import pytest
from oslo_config import cfg
from test_hints import wait_for
from test_rpc import Node

from flatnet import rpc
from flatnet.config import conf
from flatnet.db import (
    allocation,
    bindings,
    instances,
    interfaces,
    models,
    networks,
    schema,
)
from flatnet.db.engine import Database
from flatnet.lab.servers import RabbitMQ
from tests.db.conftest import a_daemon, silent
from tests.unit.tool import Tool


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory):
    with RabbitMQ(tmp_path_factory.mktemp("rabbit")) as rabbit:
        yield rabbit


@pytest.fixture
def tool(tmp_path, rabbit):
    """The tool; instance vm_1 on node1 and network private exist."""
    tool = Tool(tmp_path)
    tool.configure(broker=rabbit.url)
    database = Database(tool.url)
    schema.upgrade(database)
    networks.create(
        database, label="private", cidr="10.0.0.0/24", bridge="br100"
    )
    instances.create(
        database, hostname="vm_1", host="node1", project_id="blue"
    )
    database.close()
    return tool


@pytest.fixture
def database(tool):
    database = Database(tool.url)
    yield database
    database.close()


@pytest.fixture
def node(tool, database):
    """A daemon for node1, but for its kernel."""
    conf.register(cfg.CONF)
    cfg.CONF(["--config-file", str(tool.config)], project="flatnet")
    broker = rpc.transport(cfg.CONF)
    node = Node("node1", database, broker)
    yield node
    node.stop()
    broker.cleanup()
    cfg.CONF.reset()


def test_an_instance_is_allocated_shown_and_deallocated(tool, node):
    wanted = ("--address", "10.0.0.77", "--mac", "FA:16:3E:00:00:09")
    (vif,) = tool.json("instance", "allocate", "vm_1", *wanted)
    assert vif["Network"] == "private"
    assert (vif["Address"], vif["Gateway"]) == ("10.0.0.77", "10.0.0.1")
    assert vif["MAC"] == "fa:16:3e:00:00:09"
    assert vif["Device"].startswith("tap")
    assert tool.json("instance", "allocate", "vm_1") == [vif]
    state = tool.json("host", "show", "node1")
    assert (state["state"], state["reason"]) == ("ready", None)
    assert [each["device"] for each in state["ports"]] == [vif["Device"]]
    shown = tool.json("instance", "show", "vm_1")
    assert (shown["state"], shown["reason"]) == ("active", None)
    assert shown["device"] == [vif["Device"]]
    assert state["bridges"][0]["address"] == "10.0.0.1/24"
    assert tool.printed("instance", "deallocate", "vm_1")
    assert tool.json("instance", "show", "vm_1")["interfaces"] == []


def test_a_floating_address_is_led_to_an_instance(tool, node):
    tool.printed("instance", "allocate", "vm_1")
    pool = ("floating", "pool", "create", "nova", "--cidr", "203.0.113.0/30")
    tool.printed(*pool)
    tool.printed("floating", "allocate", "nova", "--project", "blue")
    lead = ("floating", "associate", "203.0.113.1")
    assert "10.0.0.99" in tool.refused(*lead, "10.0.0.99")
    assert "leads to 10.0.0.2" in tool.printed(*lead, "10.0.0.2")
    (row,) = tool.json("floating", "list")
    assert (row["fixed_address"], row["host"]) == ("10.0.0.2", "node1")
    (found,) = node.applier.plan.filter.floating
    assert found.address == "203.0.113.1"
    assert "disassociate" in tool.refused("floating", "release", lead[-1])
    tool.printed("floating", "disassociate", lead[-1])
    assert node.applier.plan.filter.floating == ()


def test_a_daemons_refusal_is_one_line(tool, node):
    line = tool.refused("instance", "allocate", "vm_1", "--mac", "rubbish")
    assert "'rubbish' is not a MAC address" in line
    line = tool.refused(
        "instance", "allocate", "vm_1", "--mac", "FE:16:3e:00:00:09"
    )
    assert "begins with fe:" in line
    line = tool.refused(
        "instance", "allocate", "vm_1", "--address", "10.0.0.255"
    )
    assert "10.0.0.255" in line


def test_a_changed_group_is_announced(tool, node):
    group = ("security", "group")
    tool.printed(*group, "create", "web", "--project-id", "blue")
    assert tool.printed(*group, "rule", "create", "web") != ""
    assert tool.printed(*group, "add", "instance", "web", "vm_1") == ""


def test_the_groups_of_an_instance_are_set_at_once(tool, node):
    """The host follows by one hint, which names the instance."""
    for name in ("web", "front"):
        tool.printed(
            *("security", "group", "create", name, "--project-id", "blue")
        )
    uuid = tool.json("instance", "show", "vm_1")["uuid"]
    tool.printed("instance", "allocate", "vm_1")
    told = []
    changed = node.manager.groups_changed

    def note(groups, instances):
        told.append((set(groups), instances))
        changed(groups, instances)

    node.manager.groups_changed = note

    def groups():
        (guest,) = node.applier.parts.guests.values()
        return guest.filtered.groups if guest.filtered else ()

    words = ("--security-group", "web", "--security-group", "front")
    assert tool.printed("instance", "set", "vm_1", *words) == ""
    wait_for(lambda: groups() == (1, 2))
    words = ("--security-group", "front")
    assert tool.printed("instance", "set", "vm_1", *words) == ""
    wait_for(lambda: groups() == (2,))
    done = tool.run("instance", "set", "vm_1", "--no-security-group")
    assert (done.returncode, done.stdout) == (0, "")
    assert "vm_1 is in no security group now" in done.stderr
    assert done.stderr.count("\n") == 1
    wait_for(lambda: groups() == ())
    assert [each for each, _ in told] == [{1, 2}, {1, 2}, {2}]
    assert {tuple(each) for _, each in told} == {(uuid,)}


def test_an_instance_without_a_row_is_deallocated(tool, node, database):
    """By what it left; of whom nothing is left, nothing is claimed."""
    gone = "99999999-9999-4999-8999-999999999999"
    line = tool.refused("instance", "deallocate", gone)
    assert "nothing to take away" in line
    row = tool.json("instance", "show", "vm_1")
    tool.printed("instance", "allocate", "vm_1")
    delete = models.instances.delete()
    database.write(lambda connection: connection.execute(delete).rowcount)
    tool.printed("instance", "deallocate", row["uuid"].upper())
    assert bindings.list_all(database) == ()
    assert "nothing to take away" in tool.refused(
        "instance", "deallocate", row["uuid"]
    )


def test_an_instance_is_freed_though_its_host_is_down(tool, node, database):
    """The rows go wherever one asks; its host follows when it is back."""
    other = instances.create(
        database, hostname="vm_2", host="node2", project_id="blue"
    )
    a_daemon(database, "node2", state="stopped")
    allocation.allocate(
        database,
        instance_uuid=other.uuid,
        placement=allocation.Placing("node2"),
    )
    done = tool.run("instance", "deallocate", "vm_2")
    assert done.returncode == 0
    assert "host node2 has not followed" in done.stderr
    assert interfaces.of_instance(database, other.uuid) == ()
    ((host, binding),) = bindings.list_all(database)
    assert (host, binding.wanted) == ("node2", "gone")


def test_a_daemon_that_does_not_answer_is_named(tool, node, rabbit):
    node.stop()
    tool.configure("rpc_response_timeout = 1", broker=rabbit.url)
    line = tool.refused("instance", "allocate", "vm_1")
    assert "no answer from host node1" in line
    assert "guest:***@" in line


def test_a_host_that_reports_no_more_is_not_waited_for(tool, database):
    a_daemon(database, "node1", state="ready")
    silent(database, 60)
    for words in (("instance", "allocate", "vm_1"), ("host", "show", "node1")):
        assert "host node1 is stale (no report for" in tool.refused(*words)


def test_a_daemon_that_died_just_now_is_not_waited_for_long(tool, node):
    """It still counts as up, by its last report."""
    node.stop()
    begun = time.monotonic()
    assert "no answer from host node1" in tool.refused("host", "show", "node1")
    assert time.monotonic() - begun < 40
