"""The benchmark runs, answers with all it has to, and leaves nothing."""

import json
import os
import signal
import subprocess
import time

import pytest
from conftest import fresh_spec

from flatnet.lab import lab as lab_module
from flatnet.lab import namespaces
from flatnet.lab.bench import repair, writes
from flatnet.lab.bench.figure import (
    CPU_TITLE,
    CPU_UNIT,
    LIBRARIES_TITLE,
    RATIO_UNIT,
)
from flatnet.lab.bench.suite import SUITE
from flatnet.lab.node import program

KEYS = {
    *("figure", "size", "value", "unit", "floor", "ratio", "goal", "met"),
    "cpu_ms",
}
SECONDS = 60
BY_LIBRARIES = (
    *("allocate, unfiltered", "deallocate, 1 of 10 groups"),
    *("a rule of a group", "a rule of a group of 4 hosts"),
    "a member of a source group",
)
FOLLOWING = (CPU_UNIT, RATIO_UNIT)
# The families of which the guard has a table.
GUARDED = ("arp", "bridge", "inet")


@pytest.fixture
def spec():
    """A spec whose lab is gone after the test, whoever brought it up."""
    spec = fresh_spec()
    yield spec
    lab_module.down(spec)


def command(spec, *words):
    here = ["--name", spec.name, "--directory", str(spec.directory)]
    return [program("flatnet"), "lab", "bench", *here, *words]


def traces(spec):
    """What there is of a lab: namespaces, directory, processes."""
    named = [
        pid
        for pid in filter(str.isdigit, os.listdir("/proc"))
        if str(spec.directory) in words_of(pid)
    ]
    return namespaces.names(spec.prefix), spec.directory.exists(), named


def words_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def worst_of(row):
    """The key of what a row is the worst of, where it is of several."""
    return {"parts"} if row["figure"] == repair.UNDER_LOAD else set()


@pytest.mark.timeout(900)
def test_every_figure_is_measured_beside_its_floor(spec, tmp_path):
    answer, picture = tmp_path / "rows.json", tmp_path / "rows.png"
    words = ["--quick", "--json", str(answer), "--plot", str(picture)]

    subprocess.run(command(spec, *words), check=True)

    rows = json.loads(answer.read_text())
    measured = {row["figure"] for row in rows}
    over = {name for name in measured if name.endswith(LIBRARIES_TITLE)}
    assert {f"{name}: {LIBRARIES_TITLE}" for name in BY_LIBRARIES} <= over
    figures = [each for setting in SUITE for each in setting.figures]
    assert measured - over == {figure.name for figure in figures} | {
        f"{each.name}: {CPU_TITLE}" for each in figures if each.cpu
    } | {
        f"{each.name}: beside {other}"
        for each in figures
        for other in each.beside
    }
    for row in rows:
        assert set(row) == KEYS | worst_of(row), row
        if row["unit"] == writes.UNIT:
            # Who starts takes the guard's tables, and writes nothing else.
            assert row["value"] <= len(GUARDED), row
        else:
            assert row["value"] > 0, row
            assert row["unit"] in FOLLOWING or row["floor"] > 0, row
        assert row["goal"], row
        assert row["met"] in (True, False), row
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert traces(spec) == ([], False, [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing(spec, number):
    words = command(spec, "--quick", "--only", "unfiltered")
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as run:
        for line in run.stderr:
            if line.startswith("- allocate"):
                break
        run.send_signal(number)
        run.stderr.read()
        assert run.wait(SECONDS) == 130
    deadline = time.monotonic() + SECONDS
    while traces(spec) != ([], False, []) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert traces(spec) == ([], False, [])


def test_a_figure_that_there_is_not(spec):
    done = subprocess.run(
        command(spec, "--only", "nonsense"), capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == "flatnet: no figure of the benchmark is meant\n"
