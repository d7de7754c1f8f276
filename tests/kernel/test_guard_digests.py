"""What becomes of the guard's rules from one applier to the next."""

import os
import re
import stat

import pytest
from test_guard_edited import EDITS, edit, rules, unowned
from test_watch import OPTIONS, ROWS, output

from flatnet.apply.applier_client import Applier, start_applier
from flatnet.apply.filter.guard.digests import NAME
from flatnet.apply.filter.guard.guard import FAMILIES, TABLE
from flatnet.state.effects import Surface, Verb
from tests.planned import host_plan, parted


def table(family):
    return f"table {family} {TABLE}"


TABLES = [table(family) for family in FAMILIES]


@pytest.fixture
def starts(namespace, tmp_path):
    """Have an applier start, come to its plan and end, any number of times.

    Its answer is the tables of the guard that were written.
    """
    log = tmp_path / "log"

    def start():
        with log.open("wb") as stream:
            os.dup2(stream.fileno(), 2)
        serving = Applier(
            start_applier(
                networks_path=str(tmp_path / "networks"),
                dnsmasq_config_file="",
                top_regex="",
            )
        )
        try:
            changes = serving.apply(parted(host_plan(ROWS, OPTIONS)))
        finally:
            serving.close()
        assert changes.failures == ()
        return written(changes)

    return lambda: namespace.call(start)


def written(changes):
    return [
        each.key
        for each in changes.made
        if (each.surface, each.verb) == (Surface.GUARD, Verb.MADE)
    ]


@pytest.mark.parametrize("owned", [True, False])
@pytest.mark.parametrize("how", EDITS)
def test_an_edit_while_nobody_ran_is_mended(namespace, starts, how, owned):
    if not owned:
        unowned(namespace)
    assert starts() == TABLES
    before = namespace.call(rules)
    namespace.call(edit, *how)
    assert namespace.call(rules) != before
    assert starts() == [table(how[0])]
    assert namespace.call(rules) == before
    assert starts() == []


def test_an_edit_of_what_a_rule_writes_out_is_mended(namespace, starts):
    """The kernel calls what is written out by the same name again."""
    assert starts() == TABLES
    before = namespace.call(rules)
    for ports in ("{ 1, 2, 3 }", "{ 67, 69 }"):
        namespace.call(edit_ports, ports)
    assert starts() == [table("bridge")]
    assert namespace.call(rules) == before


def edit_ports(ports):
    """Put others in the place of the first ports that a rule writes out."""
    for chain in re.findall(
        r"chain (\w+)", output(f"nft list table bridge {TABLE}")
    ):
        listed = output(f"nft -a list chain bridge {TABLE} {chain}")
        for line in listed.splitlines():
            rule, _, number = line.strip().rpartition(" # handle ")
            if "udp dport {" in rule:
                other = re.sub("{.*?}", ports, rule, count=1)
                output(
                    f"nft replace rule bridge {TABLE} {chain} handle "
                    f"{number} {other}"
                )
                return
    raise AssertionError("no rule writes out ports")


def test_what_nobody_touched_is_taken_over(namespace, starts):
    assert starts() == TABLES
    before = namespace.call(handles)
    assert starts() == []
    assert starts() == []
    assert namespace.call(handles) == before


def handles():
    """The rules with their handles, which are others when written anew."""
    text = output("nft -a list ruleset")
    return [line for line in text.splitlines() if "comment" in line]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff\0 rubbish\nbridge\n a b c\n"),
        lambda path: path.write_text("bridge 0\ninet 0\narp 0\n"),
        lambda path: (path.unlink(), path.symlink_to("/dev/null")),
    ],
    ids=["lost", "empty", "rubbish", "of others", "a link"],
)
def test_without_what_was_kept_rules_are_written_once(
    namespace, starts, tmp_path, spoil
):
    assert starts() == TABLES
    before = namespace.call(rules)
    path = tmp_path / "networks" / NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    spoil(path)
    assert starts() == TABLES
    assert namespace.call(rules) == before
    assert starts() == []
    assert path.is_file()
    assert not path.is_symlink()


def test_what_cannot_be_kept_is_written_at_each_start(
    namespace, starts, tmp_path
):
    (tmp_path / "networks" / NAME).mkdir(parents=True)
    assert starts() == TABLES
    assert "cannot be told" in (tmp_path / "log").read_text()
    assert starts() == TABLES


def test_what_ends_by_itself_outlives_the_mending(namespace, starts):
    """Connections that are to be cut stay so, as when a rule changes."""
    assert starts() == TABLES
    cut = "10.0.0.99 . 1234 . 10.0.0.4 . 22"
    held = f"inet {TABLE} cut4"
    namespace.run(f"nft add element {held} {{ {cut} }}")
    namespace.call(edit, *EDITS[2])
    assert starts() == [table("inet")]
    assert cut in namespace.run(f"nft list set {held}")
