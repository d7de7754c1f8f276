"""A whole daemon and a MariaDB that is frozen, locked for a backup, or held.

The server listens on a socket in the file system too, so that a node in a
network namespace of its own reaches it.
"""

import contextlib
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from flatnet.db import services
from flatnet.db.engine import Database
from flatnet.exceptions import DatabaseUnavailable, HostSetupError
from flatnet.lab import servers
from flatnet.lab.lab import Lab
from flatnet.lab.spec import LabSpec
from tests.db.servers import HELD_ROWS, client, frozen
from tests.system.conftest import fresh_spec
from tests.system.rows import allocate, new_instance, new_network
from tests.system.test_daemon import wait_until

PATIENCE = 10
NAMED = (DatabaseUnavailable, HostSetupError)


@dataclass(frozen=True)
class ServedSpec(LabSpec):
    """A lab whose database is a server's."""

    url: str = ""

    @property
    def database_url(self):
        return self.url


@pytest.fixture(scope="module")
def lab():
    with tempfile.TemporaryDirectory(prefix="fnt-") as name:
        here = Path(name)
        here.chmod(0o755)
        with servers.mariadb(here / "server"):
            url = (
                "mysql+pymysql://root@localhost/flatnet?charset=utf8mb4&"
                f"unix_socket={here}/server/socket"
            )
            plain = fresh_spec(nodes=1, options=(("reconcile_interval", "2"),))
            spec = ServedSpec(**{**vars(plain), "url": url})
            with Lab(spec, say=print) as lab:
                conf = spec.control_conf
                conf.write_text(
                    conf.read_text().replace(
                        "[DEFAULT]",
                        f"[DEFAULT]\nrpc_response_timeout = {PATIENCE}",
                    )
                )
                new_network(lab)
                yield lab


@pytest.fixture
def database(lab):
    with contextlib.closing(Database(lab.database_url)) as database:
        yield database


def is_held(database, how):
    if how == "frozen":
        return frozen(database)
    if how == "rows":
        return client(database.url, *HELD_ROWS)
    return client(database.url, "FLUSH TABLES WITH READ LOCK")


@pytest.mark.parametrize("how", ["rows", "backup", "frozen"])
def test_calls_end_guests_go_on_and_all_resumes(lab, database, how):
    node = lab.node(1)
    served, new = (new_instance(lab, f"{how}-{i}", "node1") for i in (1, 2))
    [vif] = allocate(lab, served, "node1")
    guest = lab.guest(how, node=node, vif_uuid=vif["id"])
    guest.dhcp()
    with is_held(database, how):
        for method, uuid in (
            ("allocate_for_instance", new),
            ("deallocate_for_instance", served),
            ("setup_networks_on_host", served),
        ):
            begun = time.monotonic()
            with pytest.raises(NAMED):
                lab.rpc().call(method, instance_id=uuid, host="node1")
            assert time.monotonic() - begun < PATIENCE + 5
        assert lab.rpc().call("ping", arg=1, host="node1")["arg"] == 1
        assert guest.ping("10.0.0.1")
    [again] = lab.rpc().call(
        "get_instance_nw_info", instance_id=served, host="node1"
    )
    assert again["id"] == vif["id"]
    wait_until(lambda: is_ready(database), "the daemon did not come back")
    [other] = allocate(lab, new, "node1")
    assert other["active"] is True
    assert guest.ping("10.0.0.1")


def is_ready(database):
    """Whether the last pass went well, and its daemon reports."""
    (service,) = services.list_all(database)
    return service.state == "ready" and service.seconds_ago < PATIENCE


def test_what_others_do_meanwhile_is_put_back(lab, database):
    """Before the read ends that asks the server."""
    node = lab.node(1)
    instance = new_instance(lab, "kept", "node1")
    [vif] = allocate(lab, instance, "node1")
    name = vif["devname"]
    # A pass that begins to read once the server is frozen waits for long.
    for twist in (f"delete {name}", "set br100 down"):
        with frozen(database):
            node.run(f"ip link {twist}")
            failed = failures(lab)
            wait_until(lambda: is_served(node, name), f"not back: {twist}")
            assert failures(lab) == failed
            node.run(f"ip link {twist}")
            wait_until(lambda: is_served(node, name), f"not again: {twist}")
            assert failures(lab) == failed
        wait_until(lambda: is_ready(database), "the daemon did not come back")


def failures(lab):
    """How many passes ended with an error so far."""
    return (lab.spec.directory / "node1.log").read_text().count("pass failed")


def is_served(node, name):
    """Whether a port is there, and it and its bridge are up."""
    shown = json.loads(node.run("ip -j link"))
    up = {each["ifname"] for each in shown if "UP" in each["flags"]}
    return {name, "br100"} <= up
