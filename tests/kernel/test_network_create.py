"""What `network create` sees of the host that it is typed on."""

import pytest

from flatnet.db import schema
from flatnet.db.engine import Database
from tests.unit.tool import Tool

SECOND = ("second", "--cidr", "10.1.0.0/24", "--uplink", "up0")


@pytest.fixture
def tool(tmp_path):
    tool = Tool(tmp_path)
    database = Database(tool.url)
    schema.upgrade(database)
    database.close()
    return tool


def test_an_uplink_that_is_in_another_bridge_is_refused(namespace, tool):
    """Nobody is to be told later to take it away from its guests."""
    namespace.run("ip link add br100 type bridge")
    namespace.run("ip link add up0 type veth peer name up1")
    namespace.run("ip link set up0 master br100")
    create = ("network", "create", *SECOND)
    line = namespace.call(tool.refused, *create, "--bridge", "br200")
    assert "uplink up0 is a port of br100 on this host" in line
    assert namespace.call(tool.json, "network", "list") == []
    made = namespace.call(tool.json, *create, "--bridge", "br100")
    assert (made["bridge"], made["bridge_interface"]) == ("br100", "up0")
