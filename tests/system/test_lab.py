"""The lab itself: up once, down always, nothing stays, nobody else hurt."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from conftest import fresh_spec

from flatnet.db import networks
from flatnet.db.engine import Database
from flatnet.exceptions import ConfigurationError
from flatnet.lab import control, namespaces, owner
from flatnet.lab import lab as lab_module
from flatnet.lab.lab import Lab
from flatnet.lab.namespaces import LabError
from flatnet.lab.spec import MARIADB, POSTGRESQL, LabSpec

SECONDS = 60


@pytest.fixture
def spec():
    """A spec whose lab is gone after the test, whoever brought it up."""
    spec = fresh_spec(nodes=1)
    yield spec
    lab_module.down(spec)


def devices():
    """The machine's own devices, addresses and routes."""
    return [
        subprocess.run(command, capture_output=True, check=True).stdout
        for command in (
            ["ip", "-br", "link"],
            ["ip", "-br", "addr"],
            ["ip", "route"],
        )
    ]


def traces(spec):
    """What there is of a lab: namespaces, directory."""
    return namespaces.names(spec.prefix), spec.directory.exists()


def kill_keeper(spec):
    """Leave the lab without its process, as a crash would."""
    holder = owner.read(spec.directory)
    os.kill(holder.pid, signal.SIGKILL)
    wait_for(lambda: not holder.lives)


def wait_for(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_up_and_down_in_the_background(spec):
    before = devices()
    said = []

    control.up_in_background(spec, say=said.append)

    assert said[-1].startswith("flatnet-manager on 1 nodes: ready")
    names = [member.name for member in control.members(spec)]
    assert names == ["control", "node1", "outside", "switch"]
    assert control.members(spec)[1].has_daemon
    assert control.execute(spec, "node1", ["true"]) == 0
    assert control.execute(spec, "node1", ["false"]) == 1
    with pytest.raises(LabError, match=r"no 'node2'; it has: control, node1"):
        control.execute(spec, "node2", ["true"])
    with pytest.raises(LabError, match="is up already"):
        control.up_in_background(spec, say=said.append)
    holder = owner.read(spec.directory)
    assert lab_module.down(spec)
    assert traces(spec) == ([], False)
    assert not lab_module.down(spec)
    assert not holder.lives
    assert devices() == before


def test_a_lab_whose_process_was_killed_is_taken_down(spec):
    control.up_in_background(spec, say=print)
    kill_keeper(spec)

    assert lab_module.down(spec)

    assert traces(spec) == ([], False)


def test_what_a_killed_lab_left_is_no_obstacle(spec):
    control.up_in_background(spec, say=print)
    kill_keeper(spec)
    said = []

    with Lab(spec, say=said.append) as lab:
        assert said[0] == "removing what an earlier run has left"
        assert lab.node(1).daemon_runs
    assert traces(spec) == ([], False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_half_way_up_leaves_nothing(spec, number):
    command = [sys.executable, "-m", "flatnet.lab.background"]
    command += [spec.name, "1", str(spec.directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as keeper:
        wait_for(lambda: (spec.directory / "broker" / "broker.log").exists())
        keeper.send_signal(number)
        assert keeper.wait(SECONDS) == 130
    assert traces(spec) == ([], False)


def test_a_daemon_that_does_not_start_takes_the_lab_along(spec):
    broken = LabSpec(
        name=spec.name,
        nodes=1,
        directory=spec.directory,
        options=(("vif_plug", "nonsense"),),
    )
    with pytest.raises(Exception, match=r"vif_plug.*nonsense"):
        Lab(broken).up()
    assert traces(spec) == ([], False)


@pytest.mark.parametrize("name", ["", "a-b", "a/b", "Lab", "x" * 33])
def test_names_that_cannot_be_part_of_a_namespace(name):
    with pytest.raises(ConfigurationError, match="lab name"):
        LabSpec(name=name)


@pytest.mark.parametrize("nodes", [0, 201])
def test_number_of_nodes(nodes):
    with pytest.raises(ConfigurationError, match="1 to 200"):
        LabSpec(nodes=nodes)


def test_a_directory_that_is_no_labs_stays_untouched(tmp_path):
    (tmp_path / "mine").write_text("text")
    with pytest.raises(LabError, match="is no lab's"):
        Lab(LabSpec(name=fresh_spec().name, directory=tmp_path)).up()
    assert (tmp_path / "mine").read_text() == "text"


@pytest.mark.parametrize("database", [MARIADB, POSTGRESQL])
def test_a_lab_on_a_database_server(spec, database):
    with_server = replace(spec, database=database)
    with Lab(with_server, say=print) as lab:
        lab.cli("network", "create", "flat", "--cidr", "10.0.0.0/24")

        with contextlib.closing(Database(lab.database_url)) as database:
            (network,) = networks.list_all(database)

        assert network.label == "flat"
        assert lab.node(1).daemon_runs
    assert traces(spec) == ([], False)
