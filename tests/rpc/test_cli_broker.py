"""The operator's tool and brokers that it does not get to, each in a line."""

import socket
import subprocess
import sys
import time

import pytest

from flatnet.db import instances, schema
from flatnet.db.engine import Database
from flatnet.lab.servers import RabbitMQ
from tests.db.conftest import a_daemon
from tests.unit.tool import Tool, one_line

# Who connects shuffles the list first.
IN_ORDER = (
    "import random, sys\n"
    "random.shuffle = lambda hosts: None\n"
    "from flatnet.cmd.cli.main import main\n"
    "sys.exit(main())\n"
)
WITH_TLS = "[oslo_messaging_rabbit]\nssl = true"
# Too long for a name server to be asked.
NO_NAME = 150 * "a." + "a"
WORDS = ("instance", "allocate", "vm_1")


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory):
    with RabbitMQ(tmp_path_factory.mktemp("rabbit")) as rabbit:
        yield rabbit


@pytest.fixture
def tool(tmp_path):
    """The tool; instance vm_1 is on node1, which has just reported."""
    tool = Tool(tmp_path)
    database = Database(tool.url)
    schema.upgrade(database)
    instances.create(
        database, hostname="vm_1", host="node1", project_id="blue"
    )
    a_daemon(database, "node1")
    database.close()
    return tool


@pytest.fixture
def silent():
    """The port of one who takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("guest:guest", "guest:secret", "ACCESS_REFUSED"),
        ("guest:guest", "nobody:secret", "ACCESS_REFUSED"),
        ("rabbit://", "frob://", "frob"),
        ("/\n", "/nowhere\n", "vhost nowhere not found"),
        ("/\n", f"/\n{WITH_TLS}\n", "wrong version number"),
        (
            "/\n",
            f"/\n{WITH_TLS}\nssl_ca_file = /nonexistent\n",
            "No such file",
        ),
        ("127.0.0.1", NO_NAME, "Name or service not known"),
    ],
)
def test_a_broker_that_does_not_let_us_in(tool, rabbit, old, new, says):
    tool.configure(broker=f"{rabbit.url}\n".replace(old, new))
    begun = time.monotonic()
    line = tool.refused(*WORDS)
    assert says in line
    assert "transport_url" in line
    assert "secret" not in line
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(
    ("host", "more", "says"),
    [
        ("a..b", "", "label empty"),
        ("127.0.0.1:1", f"{WITH_TLS}\nssl_version = frob", "frob"),
    ],
)
def test_what_can_mean_no_broker(tool, host, more, says):
    tool.configure(broker=f"rabbit://flatnet:secret@{host}/\n{more}\n")
    line = tool.refused(*WORDS)
    assert says in line
    assert "secret" not in line


def test_one_who_says_nothing(tool, silent):
    tool.configure(broker=f"rabbit://flatnet:secret@127.0.0.1:{silent}/")
    line = tool.refused(*WORDS)
    assert "timed out; is it running, and is transport_url right?" in line
    assert "secret" not in line


def brokers(tool, *addresses, timeout=1):
    hosts = ",".join(f"guest:guest@{each}" for each in addresses)
    tool.configure(
        f"rpc_response_timeout = {timeout}", broker=f"rabbit://{hosts}/"
    )
    return one_line(
        subprocess.run(
            [
                *(sys.executable, "-c", IN_ORDER),
                *("--config-file", str(tool.config), *WORDS),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    )


def test_one_of_several_is_enough(tool, rabbit):
    """However many connections try the dead ones first."""
    alive = rabbit.url.rpartition("@")[2].strip("/")
    dead = ("127.0.0.1:1", "127.0.0.1:2")
    assert "no answer from host node1" in brokers(tool, *dead, alive)
    line = brokers(tool, *dead, "127.0.0.1:3")
    assert "refused; is it running" in line
    assert "@127.0.0.1:3/" in line
