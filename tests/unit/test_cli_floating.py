"""`flatnet floating ...` as a person or a script runs it."""

import contextlib

import pytest

from flatnet.db import networks
from flatnet.db.engine import Database
from tests.unit.tool import Tool

POOL = ("floating", "pool", "create", "nova", "--cidr", "203.0.113.0/30")


@pytest.fixture
def tool(tmp_path):
    """The tool with a network, and a pool of two addresses."""
    tool = Tool(tmp_path)
    tool.printed("db", "upgrade")
    # By the tool it says what this machine has against it, if anything.
    with contextlib.closing(Database(tool.url)) as database:
        networks.create(
            database, label="private", cidr="10.0.0.0/24", bridge="br100"
        )
    made = tool.json(*POOL)
    assert (made["pool"], made["addresses"]) == ("nova", 2)
    return tool


def test_pools_and_addresses(tool):
    assert tool.json("floating", "list") == []
    project = ("--project", "blue")
    given = tool.json("floating", "allocate", "nova", *project)
    assert given["address"] == "203.0.113.1"
    (row,) = tool.json("floating", "list", *project)
    assert row == {
        "address": "203.0.113.1",
        "pool": "nova",
        "project_id": "blue",
        "fixed_address": None,
        "instance": None,
        "host": None,
    }
    (pool,) = tool.json("floating", "pool", "list")
    assert pool == {
        "pool": "nova",
        "interface": None,
        "addresses": 2,
        "used": 1,
    }
    line = tool.refused("floating", "pool", "delete", "nova")
    assert "203.0.113.1 of project blue" in line
    assert tool.printed("floating", "release", "203.0.113.1")
    assert tool.printed("floating", "pool", "delete", "nova")
    assert tool.json("floating", "pool", "list") == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("pool", "create", "x", "--cidr", "203.0.113.2/32"), "pool nova"),
        (("pool", "create", "x", "--cidr", "10.0.0.0/28"), "network private"),
        (("pool", "create", "x", "--cidr", "127.0.0.0/8"), "no range"),
        (("pool", "create", "x", "--cidr", "203.0.113/24"), "not an IPv4"),
        (("pool", "delete", "x"), "no pool"),
        (("allocate", "x", "--project", "blue"), "no pool"),
        (("release", "192.0.2.1"), "no floating address"),
        (("release", "203.0.113.\x1b[1m"), "no floating address"),
    ],
)
def test_mistakes_are_one_line(tool, words, told):
    assert told in tool.refused("floating", *words)


def test_a_pool_that_is_used_up(tool):
    allocate = ("floating", "allocate", "nova", "--project", "blue")
    for _ in range(2):
        tool.printed(*allocate)
    assert "no free address left" in tool.refused(*allocate)


def test_what_this_host_has_is_in_no_pool(tool):
    tool.configure("my_ip = 198.51.100.7")
    line = tool.refused(
        *("floating", "pool", "create", "x", "--cidr", "198.51.100.0/24")
    )
    assert "holds 198.51.100.7, which is my_ip" in line
