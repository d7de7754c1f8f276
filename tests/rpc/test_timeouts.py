"""Calls while the database is locked or silent: an answer, in time.

Callers have little patience; what they are told is a named error, and not
that nobody answered.
"""

import time

import pytest
from test_rpc import broker, new_instance, node

from flatnet import exceptions, rpc
from flatnet.db import instances, models, networks, schema
from flatnet.db.engine import Database
from flatnet.lab import servers
from tests.db.conftest import addresses_of, rows
from tests.db.servers import HELD_ROWS, client, frozen
from tests.rpc.daemons import Node

__all__ = ("broker", "node")
CONTEXT = {}
PATIENCE = 10
NAMED = (exceptions.DatabaseUnavailable, exceptions.HostSetupError)


@pytest.fixture(scope="module", params=["mariadb", "postgresql"])
def database(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp(request.param)
    for each in (directory, *directory.parents[:2]):
        each.chmod(0o755)
    with getattr(servers, request.param)(directory / "server") as url:
        database = Database(url)
        schema.upgrade(database)
        networks.create(
            database, label="private", cidr="10.0.0.0/24", bridge="br100"
        )
        yield database
        database.close()


def is_held(database, how):
    if how == "frozen":
        return frozen(database)
    if how == "rows":
        return client(database.url, *HELD_ROWS)
    if database.dialect != "mysql":
        pytest.skip("it has no such lock")
    return client(database.url, "FLUSH TABLES WITH READ LOCK")


def written(database):
    return {
        table.name: rows(database, table)
        for table in (models.fixed_ips, models.virtual_interfaces)
    }


@pytest.mark.parametrize("how", ["rows", "backup", "frozen"])
def test_every_call_ends_in_time_and_nothing_is_written_later(
    broker, database, node, how
):
    api = rpc.NetworkAPI(broker, PATIENCE)
    served, new = new_instance(database), new_instance(database)
    api.allocate_for_instance(CONTEXT, instance_id=served, host="node1")
    before = written(database)
    with is_held(database, how):
        for call, uuid in (
            (api.allocate_for_instance, new),
            (api.deallocate_for_instance, served),
            (api.setup_networks_on_host, served),
        ):
            begun = time.monotonic()
            # Not BrokerUnavailable: it would mean that nobody answered.
            with pytest.raises(NAMED):
                call(CONTEXT, instance_id=uuid, host="node1")
            assert time.monotonic() - begun < PATIENCE + 5
        assert api.ping(CONTEXT, arg=1, host="node1")["arg"] == 1
    assert written(database) == before
    patient = rpc.NetworkAPI(broker, 60)
    here = {"instance_id": new, "host": "node1"}
    [vif] = patient.allocate_for_instance(CONTEXT, **here)
    assert vif["active"] is True
    patient.setup_networks_on_host(CONTEXT, instance_id=served, host="node1")
    for uuid in (served, new):
        patient.deallocate_for_instance(CONTEXT, instance_id=uuid)
        instance = instances.get(database, uuid)
        assert addresses_of(database, instance) == []


def test_a_call_that_is_passed_on_ends_with_the_first(broker, database, node):
    """Another host's daemon that hangs costs the caller no more than that."""
    api = rpc.NetworkAPI(broker, PATIENCE)
    uuid = instances.create(
        database, hostname="vm", host="node2", project_id="blue"
    ).uuid
    other = Node("node2", database, broker)
    other.stop()
    begun = time.monotonic()
    with pytest.raises(exceptions.BrokerUnavailable, match="host node2"):
        api._call(
            CONTEXT,
            "allocate_for_instance",
            {"instance_id": uuid, "host": "node2"},
            host="node1",
        )
    assert time.monotonic() - begun < PATIENCE + 5
