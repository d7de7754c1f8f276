"""Databases that are silent or locked: every wait has an end."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import insert

from flatnet.db import deallocation, instances, models, networks
from flatnet.db.engine import Database
from flatnet.exceptions import DatabaseUnavailable
from tests.db.conftest import (
    a_network,
    addresses_of,
    allocate,
    an_instance,
    contents,
    some_uuid,
)
from tests.db.servers import HELD_ROWS, client, frozen

PATIENCE = 3
# Far more than the patience, far less than any default.
BOUND = 15
LOCKS = {
    "sqlite": {"writers": ("BEGIN IMMEDIATE",)},
    "mysql": {
        "rows": HELD_ROWS,
        "backup": ("FLUSH TABLES WITH READ LOCK",),
        "tables": ("LOCK TABLES networks WRITE, fixed_ips WRITE",),
    },
    "postgresql": {
        "rows": HELD_ROWS,
        "tables": ("LOCK TABLE networks IN ACCESS EXCLUSIVE MODE",),
    },
}


@pytest.fixture
def hasty(url, database):
    """The same database for who has little time."""
    hasty = Database(url, patience=PATIENCE)
    yield hasty
    hasty.close()


@pytest.fixture
def servers_only(database):
    if database.dialect == "sqlite":
        pytest.skip("there is no server to be silent")


def ended(function):
    """What a call raised, and that it did so in time."""
    begun = time.monotonic()
    with pytest.raises(DatabaseUnavailable) as caught:
        function()
    assert time.monotonic() - begun < BOUND
    assert "\n" not in str(caught.value)
    return str(caught.value)


def is_locked(database, kind):
    if kind not in LOCKS[database.dialect]:
        pytest.skip("no such lock")
    return client(database.url, *LOCKS[database.dialect][kind])


@pytest.mark.parametrize("kind", ["writers", "rows", "backup", "tables"])
def test_what_somebody_locks_is_given_up_and_never_written(
    database, hasty, kind
):
    a_network(database)
    held, new = an_instance(database), an_instance(database, hostname="vm_2")
    allocate(database, held)
    before = contents(database)
    with is_locked(database, kind):
        for call in (
            lambda: allocate(hasty, new),
            lambda: deallocation.deallocate(hasty, instance_uuid=held.uuid),
        ):
            assert "nothing was written" in ended(call)
    assert contents(database) == before
    allocate(hasty, new)
    assert addresses_of(database, new) == ["10.0.0.3"]


def test_a_lock_that_is_met_at_the_commit(database, url, hasty):
    """Where the server refuses the COMMIT it is not done later either."""
    if database.dialect != "mysql":
        pytest.skip("only a backup's lock stops a COMMIT")
    runs = []
    with client(url) as backup:

        def write(connection):
            connection.execute(
                insert(models.instances).values(uuid=some_uuid())
            )
            if not runs:
                backup.exec_driver_sql("FLUSH TABLES WITH READ LOCK")
            runs.append(1)

        assert "nothing was written" in ended(lambda: hasty.write(write))
        backup.exec_driver_sql("UNLOCK TABLES")
    assert instances.list_all(database) == ()


@pytest.mark.parametrize("is_pooled", [True, False])
def test_a_frozen_server_is_given_up(servers_only, database, hasty, is_pooled):
    a_network(database)
    instance = an_instance(database)
    before = contents(database)
    if is_pooled:
        networks.list_all(hasty)
    with frozen(database):
        ended(lambda: networks.list_all(hasty))
        ended(lambda: allocate(hasty, instance))
    assert contents(database) == before
    allocate(hasty, instance)
    assert addresses_of(database, instance) == ["10.0.0.2"]


def test_a_server_that_freezes_within_a_transaction(
    servers_only, database, hasty
):
    """What was sent before is not written once it goes on."""
    with _Later(database) as later:

        def write(connection):
            values = {"uuid": some_uuid()}
            connection.execute(insert(models.instances).values(**values))
            later.freeze()
            connection.execute(insert(models.instances).values(**values))

        ended(lambda: hasty.write(write))
    assert instances.list_all(database) == ()


def test_a_commit_without_an_answer_is_told_as_that(
    servers_only, database, hasty
):
    runs = []
    with _Later(database) as later:

        def write(connection):
            runs.append(1)
            connection.execute(
                insert(models.instances).values(uuid=some_uuid())
            )
            later.freeze()

        said = ended(lambda: hasty.write(write))
    assert "whether it was written is not known" in said
    assert runs == [1]


class _Later:
    """A server that is frozen in the midst of a block."""

    def __init__(self, database):
        self._database = database
        self._frozen = None

    def freeze(self):
        self._frozen = frozen(self._database)
        self._frozen.__enter__()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._frozen.__exit__(*error)


def test_many_who_wait_do_not_wait_for_each_other(
    servers_only, database, hasty
):
    """More of them than there are connections."""
    said = []

    def ask():
        try:
            networks.list_all(hasty)
        except DatabaseUnavailable as error:
            said.append(str(error))

    with frozen(database):
        begun = time.monotonic()
        threads = [threading.Thread(target=ask) for _ in range(70)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(BOUND)
        assert time.monotonic() - begun < BOUND
    assert len(said) == 70
    assert networks.list_all(hasty) == ()


def test_green_threads_go_on_while_a_database_is_silent(database):
    """Their sleep is not held up by who waits, and each of these ends."""
    held = "writers" if database.dialect == "sqlite" else "frozen"
    program = subprocess.Popen(
        [
            *(sys.executable, "-W", "ignore", "-m", "tests.db.green_waits"),
            *(database.url, str(PATIENCE)),
        ],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with program:
        assert program.stdout.readline() == "ready\n"
        with (
            is_locked(database, held)
            if held == "writers"
            else frozen(database)
        ):
            output, _ = program.communicate("go\n", timeout=60)
    found = json.loads(output)
    assert found["errors"] == ["DatabaseUnavailable"] * 20
    assert found["seconds"] < BOUND
    assert found["longest_gap"] < PATIENCE / 2
