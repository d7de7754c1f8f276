"""`flatnet import nova`, as an operator runs it."""

import json

import pytest

from flatnet.db import models
from tests.db.conftest import contents, rows
from tests.db.nova_cloud import VM_1, VM_2, fill
from tests.db.nova_database import TRAIN, NovaDatabase
from tests.unit.tool import an_instance


@pytest.fixture
def nova(tmp_path):
    found = NovaDatabase(f"sqlite:///{tmp_path}/nova.sqlite", TRAIN)
    fill(found)
    yield found
    found.close()


@pytest.fixture
def words(nova):
    return "import", "nova", "--connection", nova.url


def test_without_yes_it_shows_what_would_be_and_changes_nothing(
    tool, database, words
):
    before = contents(database)
    done = tool.run(*words, "-f", "json")
    assert contents(database) == before
    assert done.returncode == 1
    assert done.stderr == (
        "flatnet: nothing was changed: with --yes it is done\n"
    )
    first, *_ = json.loads(done.stdout)
    assert first == {
        "table": "networks",
        "kept": 2,
        "new": 2,
        "refused": 2,
        "reason": None,
    }


def test_what_is_refused_is_named_and_the_rest_imported(tool, database, words):
    for uuid in (VM_1, VM_2):
        an_instance(database, uuid=uuid)
    found = tool.json(*words, "--yes")
    tables = {each["table"]: each for each in found if not each["reason"]}
    assert tables["fixed_ips"]["kept"] == 9
    refused = [each for each in found if each["reason"]]
    assert all((each["kept"], each["refused"]) == (0, 1) for each in refused)
    for table, counted in tables.items():
        named = [each for each in refused if each["table"] == table]
        assert counted["refused"] == len(named)
    assert "VLAN 102" in refused[0]["reason"]
    assert len(rows(database, models.networks)) == 2
    again = tool.json(*words, "--yes")
    assert {each["new"] for each in again} == {0}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("me:secret", "--connection is no SQLAlchemy URL"),
        ("oracle://me:secret@h/nova", "--connection: oracle is none of"),
        ("mysql://me:secret@127.0.0.1:1/nova", "127.0.0.1:1/nova: "),
        ("sqlite:////nonexistent/nova?x=secret", "there is no such file"),
    ],
)
def test_a_database_that_is_none_is_one_line_without_password(tool, url, says):
    line = tool.refused("import", "nova", "--connection", url)
    assert says in line
    assert "secret" not in line


def test_another_database_is_none_of_novas(tool):
    words = ("import", "nova", "--connection", tool.url)
    assert "none of nova's" in tool.refused(*words)
