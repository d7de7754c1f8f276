"""What the benchmark makes of what it measured."""

import itertools
import json
from dataclasses import replace

import pytest

from flatnet.lab.bench import bench, cpu, plot, table
from flatnet.lab.bench.calling import Calls
from flatnet.lab.bench.coming import joined
from flatnet.lab.bench.cpu import Process, Spent
from flatnet.lab.bench.figure import (
    FIRST,
    FLOOR,
    Figure,
    Goal,
    Measured,
    failed_row,
    further_rows,
    measured_row,
)
from flatnet.lab.bench.layout import Layout
from flatnet.lab.bench.rows import NewInstance
from flatnet.lab.bench.suite import SUITE
from flatnet.lab.namespaces import LabError
from flatnet.lab.spec import MARIADB, POSTGRESQL

FIGURE = Figure(
    "allocate", "ms", Measured, (Goal(1.5, FLOOR), Goal(1.25, FIRST))
)


def row_of(value, floor, before=()):
    return measured_row(FIGURE, 1, Measured(value, floor), list(before))


@pytest.mark.parametrize(
    ("goal", "text", "met"),
    [
        (Goal(1.5, FLOOR), "<= 1.5 x floor", True),
        (Goal(1, FLOOR, more=300), "<= floor + 300", True),
        (Goal(0.95, FLOOR, sign=">="), ">= 0.95 x floor", True),
        (Goal(1.25, FIRST), "<= 1.25 x the first size", False),
        (Goal(200, sign=">="), ">= 200", False),
        (Goal(0.5), "<= 0.5", False),
    ],
)
def test_goals(goal, text, met):
    assert goal.text == text
    assert goal.met(Measured(14.0, 10.0), first=10.0) is met


def test_without_a_floor_nothing_is_compared_with_it():
    assert Goal(1.5, FLOOR).met(Measured(1.0), first=1.0) is None


def test_later_sizes_are_held_against_the_first():
    first = row_of(15.0, 10.0)
    later = row_of(19.0, 10.0, [first])
    assert (first.goal, first.met, first.ratio) == (
        "<= 1.5 x floor",
        True,
        1.5,
    )
    assert (later.goal, later.met) == ("<= 1.25 x the first size", False)


def test_a_first_size_without_a_value_is_passed_over():
    row = row_of(19.0, 10.0, [failed_row(FIGURE, 1, "no port")])
    assert row.met is True


def test_goals_of_their_own_are_rows_of_their_own():
    other = replace(FIGURE, name="network create, /24")
    figure = replace(
        FIGURE,
        name="network create, /16",
        cpu=Goal(10),
        beside={other.name: Goal(1.1), "of another setting": Goal(1)},
    )
    cpu = {"manager": 8.0, "applier": 4.0}
    row = measured_row(figure, 100, Measured(15.0, 10.0, cpu), [])
    beside = measured_row(other, 100, Measured(12.0, 10.0), [])
    found = [
        (each.figure, each.size, each.value, each.unit, each.goal, each.met)
        for each in further_rows(
            figure, row, Measured(15.0, 10.0), {other.name: beside}
        )
    ]
    assert found == [
        (
            *("network create, /16: CPU of a call", 100, 12.0),
            *("ms of CPU", "<= 10", False),
        ),
        (
            *("network create, /16: beside network create, /24", 100, 1.25),
            *("times", "<= 1.1", False),
        ),
    ]


def test_nothing_follows_from_what_could_not_be_measured():
    figure = replace(FIGURE, cpu=Goal(10), beside={"other": Goal(1)})
    row = failed_row(figure, 100, "no port")
    measured = Measured(15.0, 10.0)
    assert list(further_rows(figure, row, measured, {"other": row})) == []


def test_a_second_floor_is_a_row_of_its_own():
    measured = Measured(15.0, 5.0, libraries=12.0)
    row = measured_row(FIGURE, 100, measured, [])
    (over,) = further_rows(FIGURE, row, measured, {})
    assert (over.figure, over.value, over.floor, over.ratio, over.met) == (
        *("allocate: over its libraries", 15.0),
        *(12.0, 1.25, True),
    )


def test_json_has_the_keys_and_the_reason_of_what_failed():
    rows = [row_of(15.04321, 10.0), failed_row(FIGURE, 100, "no port")]
    first, second = json.loads(table.json_text(rows))
    assert tuple(first) == table.COLUMNS
    assert first["value"] == 15.04
    assert second["value"] is None
    assert second["error"] == "no port"


def test_the_worst_of_several_is_named():
    parts = {"tap down": 4.04321, "dnsmasq killed": 900.0}
    row = measured_row(FIGURE, 1, Measured(900.0, 1.0, parts=parts), [])
    assert table.line(row) == (
        "allocate at 1: 900 ms (dnsmasq killed), floor 1"
    )
    (found,) = json.loads(table.json_text([row]))
    assert found["parts"] == {"tap down": 4.043, "dnsmasq killed": 900.0}


def used(**processes):
    """Roles, each with its processes as pid: (milliseconds, parent)."""
    return {
        role: {pid: Process(*each) for pid, each in of.items()}
        for role, of in processes.items()
    }


def test_who_ended_is_counted_once():
    before = used(
        manager={1: (50, 0)},
        applier={2: (10, 1), 3: (200, 2), 4: (20, 3)},
        dnsmasq={5: (500, 0)},
    )
    # Of the applier's children one has ended, with a child of its own, and
    # another one is new; it has the time of who ended.
    after = used(
        manager={1: (60, 0)},
        applier={2: (215, 1), 6: (7, 2)},
        dnsmasq={7: (30, 0)},
        database={8: (4, 0)},
    )
    assert cpu.spent_ms(before, after) == {
        "manager": 10,
        "applier": 12,
        "dnsmasq": 30,
        "database": 4,
    }


def test_a_mean_is_by_role_and_call():
    several = [Spent({"manager": 4.0}), Spent({"manager": 2.0, "applier": 8})]
    assert cpu.mean(several, 2) == {"applier": 2.0, "manager": 1.5}


def test_groups_are_given_out_in_turn():
    layout = Layout(same_net=False, each=2, groups=3)
    assert [layout.groups_of(number, 2) for number in range(3)] == [
        (0, 1),
        (0, 2),
        (1, 2),
    ]
    assert layout.groups_of(2, 1) == (2,)


def test_who_comes_is_in_the_groups_of_one_who_stays_on_his_host():
    there = [
        NewInstance(f"vm-{number}", "vm", host, groups)
        for number, (host, groups) in enumerate(
            [("n1", (1,)), ("n2", (2, 7)), ("n1", (3,))]
        )
    ]
    hosts = ("n1", "n2", "n1", "n2", "n1", "n3")
    assert joined(hosts, there) == [(1,), (2, 7), (3,), (2, 7), (1,), ()]
    assert joined(hosts[:1], ()) == [()]


def test_a_quick_run_has_every_figure_and_each_name_once():
    names = [each.name for setting in SUITE for each in setting.figures]
    assert len(names) == len(set(names))
    chosen = bench.choice(quick=True, only=(), most=1000)
    found = [each.name for one, _ in chosen.settings for each in one.figures]
    assert found == names


def test_settings_of_one_database_stand_together():
    databases = [setting.database for setting in SUITE]
    assert [each for each, _ in itertools.groupby(databases)] == [
        MARIADB,
        POSTGRESQL,
    ]


@pytest.mark.parametrize(
    ("count", "milliseconds"), [(1, 1000), (50, 50_000), (200, 198_000)]
)
def test_of_a_hundred_calls_one_may_take_longer(count, milliseconds):
    seconds = tuple(float(number) for number in range(count, 0, -1))
    assert Calls(seconds, wall=1.0, answers=()).p99 == milliseconds


def test_a_choice_of_figures_and_sizes():
    chosen = bench.choice(quick=False, only=("start to",), most=100)
    ((setting, sizes),) = chosen.settings
    assert [each.name for each in setting.figures] == ["start to ready"]
    assert sizes == (0, 1, 100)
    with pytest.raises(LabError, match="no figure"):
        bench.choice(quick=False, only=("nonsense",), most=100)


def test_only_some_figures_have_a_meaning_on_an_empty_host():
    chosen = bench.choice(quick=True, only=("to repaired",), most=100)
    assert [sizes for _, sizes in chosen.settings] == [(1,)]


def test_an_empty_host_is_not_drawn(tmp_path):
    rows = [
        measured_row(FIGURE, size, Measured(15.0, 10.0), [])
        for size in (0, 1, 100)
    ]
    plot.write(tmp_path / "all.png", rows)
    plot.write(tmp_path / "drawn.png", rows[1:])
    assert (tmp_path / "all.png").read_bytes() == (
        tmp_path / "drawn.png"
    ).read_bytes()


def test_processes_are_told_by_what_they_used():
    used = {"manager": 1.0, "applier": 2.5, "dnsmasq": 0.0}
    assert table.by_process(used) == "3.5: applier 2.5 manager 1.0"
