"""`flatnet port ...` as a person or a script runs it."""

import contextlib

import pytest

from flatnet.db import allocation, findings
from flatnet.db.engine import Database
from flatnet.plan.port import port_name
from flatnet.state.rows import Finding
from tests.db.conftest import an_instance
from tests.unit.tool import NETWORK, Tool


@pytest.fixture
def tool(tmp_path):
    """The tool with a network."""
    tool = Tool(tmp_path)
    tool.printed("db", "upgrade")
    tool.printed(*NETWORK)
    return tool


@pytest.fixture
def database(tool):
    with contextlib.closing(Database(tool.url)) as database:
        yield database


def test_ports_are_found_by_whatever_names_them(tool, database):
    tool.configure("port_rate = 10000000")
    assert tool.json("port", "list") == []
    instance = an_instance(database)
    served = allocation.allocate(
        database,
        instance_uuid=instance.uuid,
        placement=allocation.Placing("node1"),
    )
    ((interface, network, _),) = served.networks
    expected = {
        "device": port_name(interface.uuid),
        "bridge": network.bridge,
        "mac": interface.mac,
        "addresses": ["10.0.0.2"],
        "instance": instance.uuid,
        "host": "node1",
        "state": "missing",
        "reason": "its host has not looked at it yet",
        "rate": 10_000_000,
    }
    assert tool.json("port", "list") == [expected]
    made = Finding(interface.uuid, instance.uuid, "up", reason=None)
    findings.record(database, host="node1", findings=(made,), known={})
    expected |= {"state": "up", "reason": None}
    names = (
        *(expected["device"], interface.mac.upper(), "10.0.0.2"),
        *(instance.uuid, "vm_1"),
    )
    for name in names:
        assert tool.json("port", "show", name) == expected


def test_what_is_of_no_port_or_of_several_is_told(tool, database):
    tool.configure("port_rate = 10000000")
    for rate in (None, 0):
        instance = an_instance(database)
        allocation.allocate(
            database,
            instance_uuid=instance.uuid,
            placement=allocation.Placing("node1"),
            port_rate=rate,
        )
    assert tool.json("port", "list", "--host", "node2") == []
    assert "no port is named 'vm_2'" in tool.refused("port", "show", "vm_2")
    assert "more than one port" in tool.refused("port", "show", "vm_1")
    assert tool.json("port", "show", instance.uuid)["rate"] is None
