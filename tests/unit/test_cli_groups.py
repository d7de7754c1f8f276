"""What the tool says of an instance's groups, without a broker."""

import pytest

from flatnet.db import memberships, models, security_groups
from tests.db.conftest import rows
from tests.unit.tool import an_instance

MEMBERS = models.security_group_instance_association
SET = ("instance", "set", "vm_1")
REMOVE = ("security", "group", "remove", "instance", "web", "vm_1")
MEANS = {
    True: "nothing filters its traffic any more",
    False: "nothing reaches it any more but answers to what it began",
}


@pytest.fixture
def web(database):
    """An instance that is in the group web, and another group."""
    an_instance(database)
    for name in ("web", "front"):
        security_groups.create(database, name=name, project_id="blue")
    memberships.add_instance(database, group="web", instance="vm_1")


def warned(tool, *words):
    """Lines on stderr of a command that does its work, but for the broker."""
    done = tool.run(*words)
    assert (done.returncode, done.stdout) == (0, "")
    lines = done.stderr.splitlines()
    assert "hosts may follow only within" in lines.pop()
    return lines


@pytest.mark.parametrize("words", [REMOVE, (*SET, "--no-security-group")])
@pytest.mark.parametrize("flag", [True, False])
def test_it_says_what_it_means_that_the_last_group_goes(
    tool, database, web, words, flag
):
    tool.configure(f"allow_same_net_traffic = {flag}")
    (line,) = warned(tool, *words)
    assert line.startswith("flatnet: warning: instance vm_1 is in no ")
    assert line.endswith(f"allow_same_net_traffic = {flag} {MEANS[flag]}")
    assert rows(database, MEMBERS) == []


def test_it_says_nothing_where_there_is_one_left(tool, database, web):
    words = ("--security-group", "front", "--security-group", "web")
    assert warned(tool, *SET, *words) == []
    assert warned(tool, *REMOVE) == []
    assert warned(tool, *SET, "--security-group", "web") == []
    (row,) = rows(database, MEMBERS)
    assert row["security_group_id"] == 1


def test_who_was_in_none_is_no_news(tool, database, web):
    memberships.set_groups(database, instance="vm_1", groups=[])
    assert tool.printed(*SET, "--no-security-group") == ""


@pytest.mark.parametrize(
    "words",
    [(), ("--security-group", "web", "--no-security-group")],
)
def test_one_has_to_say_which(tool, web, words):
    tool.refused(*SET, *words, status=2)


def test_a_group_that_is_not_there_changes_nothing(tool, database, web):
    words = ("--security-group", "front", "--security-group", "back")
    assert "'back'" in tool.refused(*SET, *words)
    (row,) = rows(database, MEMBERS)
    assert row["security_group_id"] == 1
