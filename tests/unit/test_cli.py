"""What the operator's tool answers, for people and for programs."""

import inspect
import json
import sqlite3
import subprocess
import sys

import pytest

from flatnet.cmd.cli.commands import COMMANDS
from flatnet.db import allocation, memberships, security_groups, snapshot
from flatnet.plan.openings import openings
from tests.db.conftest import a_daemon
from tests.unit.tool import (
    INSTANCE,
    NETWORK,
    RULE,
    a_network,
    an_instance,
    run,
)


def test_help_and_version_need_no_configuration():
    done = run("--version")
    assert done.stdout == "flatnet 0.1.0\n"
    done = run("--help")
    assert done.returncode == 0
    for name, _, summary in COMMANDS:
        assert f"  {name} " in done.stdout
        assert summary in done.stdout
    assert run("help").stdout == done.stdout
    assert "--allowed-start" in run("help", "network", "create").stdout
    assert "--allowed-start" in run("network", "create", "--help").stdout
    assert "network show" in run("network", "--help").stdout


def test_help_imports_no_library_of_databases_or_brokers():
    script = (
        "import sys\n"
        "from flatnet.cmd.cli.app import FlatnetApp\n"
        "try:\n"
        "    FlatnetApp().run(['--help'])\n"
        "finally:\n"
        "    slow = {'sqlalchemy', 'oslo_messaging', 'oslo_config'}\n"
        "    assert not slow & set(sys.modules), slow & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], timeout=60, check=True)


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row[0])
def test_every_command_is_there_and_says_what_the_list_says(row):
    _, target, summary = row
    module, _, name = target.partition(":")
    found = getattr(__import__(module, fromlist=[name]), name)
    assert inspect.getdoc(found).splitlines()[0] == summary


def test_completion_knows_the_commands():
    done = run("complete", "--shell", "none")
    assert (done.returncode, done.stderr) == (0, "")
    assert "cmds_network='create delete list set show'" in done.stdout
    assert "--allowed-start" in done.stdout


def test_the_database_is_brought_up_to_date(empty):
    assert "flatnet db upgrade" in empty.refused("db", "version")
    assert "up to date" in empty.printed("db", "upgrade")
    assert "up to date" in empty.printed("db", "upgrade")
    assert "up to date" in empty.printed("db", "version")


def test_a_network_comes_and_goes(tool):
    tool.configure("flat_interface = eth1\nflat_network_bridge = br7")
    assert "| br7 " in tool.printed(*NETWORK, "--dns1", "192.0.2.53")
    (row,) = tool.json("network", "list")
    assert row["Label"] == "private"
    assert row["Uplink"] == "eth1"
    shown = tool.json("network", "show", row["UUID"].upper())
    assert shown["dns1"] == "192.0.2.53"
    assert shown["host_addresses"] == {}
    wanted = ("network", "show", "private", "-f", "value", "-c", "cidr")
    assert tool.printed(*wanted) == "10.0.0.0/24\n"
    assert tool.printed("network", "delete", "private")
    assert tool.json("network", "list") == []


def test_each_network_has_the_uplink_that_it_asked_for(tool):
    tool.configure("flat_interface = eth1")
    tool.printed(*NETWORK)
    second = (
        *("network", "create", "second", "--cidr", "10.1.0.0/24"),
        *("--bridge", "br200"),
    )
    for words in ((), ("--uplink", "eth1")):
        line = tool.refused(*second, *words)
        assert "uplink eth1 is that of network private (br100)" in line
        assert "--uplink" in line
    made = tool.json(*second, "--uplink", "eth2")
    assert made["bridge_interface"] == "eth2"
    assert [each["Uplink"] for each in tool.json("network", "list")] == [
        "eth1",
        "eth2",
    ]


def test_an_uplink_that_an_option_overrides_is_refused(tool):
    tool.configure("flat_interface = eth1")
    line = tool.refused(*NETWORK, "--uplink", "eth2")
    assert "uplink eth2 would not be used: flat_interface = eth1" in line
    assert tool.json("network", "list") == []
    made = tool.json(*NETWORK, "--uplink", "eth1")
    assert made["bridge_interface"] == "eth1"


def test_an_uplink_that_only_the_option_names_is_taken(tool, database):
    a_network(database)
    tool.configure("flat_interface = eth1")
    line = tool.refused(
        *("network", "create", "second", "--cidr", "10.1.0.0/24"),
        *("--bridge", "br200", "--uplink", "eth1"),
    )
    assert "that of network private" in line


def test_all_arguments_of_a_network_are_written(tool):
    given = {
        "bridge": "br5",
        "gateway": "10.9.0.1",
        "dns1": "192.0.2.1",
        "dns2": "192.0.2.2",
        "mtu": 9000,
        "project_id": "blue",
    }
    words = [
        word
        for name, value in given.items()
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    made = tool.json(
        *("network", "create", "wide", "--cidr", "10.9.0.0/16"),
        *("--uplink", "bond0", "--fixed-cidr", "10.9.4.0/24"),
        *("--allowed-start", "10.9.4.9", "--allowed-end", "10.9.4.99"),
        *words,
    )
    assert {name: made[name] for name in given} == given
    assert made["bridge_interface"] == "bond0"


def test_an_instance_is_written_and_found(tool, database):
    done = tool.run(*INSTANCE, "-f", "json")
    assert done.returncode == 0
    assert "no flatnet-manager has ever reported from host node1" in (
        done.stderr
    )
    made = json.loads(done.stdout)
    a_network(database)
    allocation.allocate(
        database,
        instance_uuid=made["uuid"],
        placement=allocation.Placing("node1"),
        port_rate=2_500_000,
    )
    a_daemon(database, "node1")
    assert tool.run(*INSTANCE).stderr == ""
    first, second = tool.json("instance", "list", "--host", "node1")
    assert first["addresses"] == ["10.0.0.2"]
    assert second["addresses"] == []
    assert {first["state"], second["state"]} == {"building"}
    assert second["reason"] == "it was not allocated"
    assert tool.json("instance", "list", "--host", "node2") == []
    shown = tool.json("instance", "show", made["uuid"])
    assert shown["interfaces"][0]["address"] == "10.0.0.2"
    assert shown["interfaces"][0]["rate"] == 2_500_000
    assert "address=10.0.0.2" in tool.printed("instance", "show", made["uuid"])
    assert "use a uuid" in tool.refused("instance", "show", "vm_1")
    assert "in use" in tool.refused("network", "delete", "private")
    shown = tool.json("network", "show", "private")
    assert shown["host_addresses"] == {"node1": "10.0.0.1"}
    (host,) = tool.json("host", "list")
    assert (host["host"], host["state"]) == ("node1", "starting")
    assert (host["instances"], host["addresses"]) == (
        2,
        {"br100": "10.0.0.1"},
    )


def test_hosts_that_are_silent_are_stale(tool, database):
    a_daemon(database, "node1")
    with sqlite3.connect(tool.path) as connection:
        connection.execute(
            "UPDATE services SET last_seen_up = '2020-01-01 00:00:00.000000'"
        )
    connection.close()
    an_instance(database, host="node2")
    silent, unknown = tool.json("host", "list")
    assert (silent["state"], silent["seen_at"]) == (
        "stale",
        "2020-01-01T00:00:00Z",
    )
    assert (unknown["state"], unknown["seen_at"]) == ("unknown", None)
    assert "stale" in tool.refused("host", "show", "node1")


def test_a_security_group_works_without_a_broker(tool, database):
    """The rows are what counts; the next pass reads them."""
    instance = an_instance(database)
    assert tool.printed(
        *("security", "group", "create", "web", "--project-id", "blue")
    )
    done = tool.run(*RULE, *("--protocol", "tcp", "--from-port", "80"))
    assert done.returncode == 0
    assert done.stderr.startswith("flatnet: warning: ")
    assert done.stderr.count("\n") == 1
    done = tool.run("security", "group", "add", "instance", "web", "vm_1")
    assert done.returncode == 0
    shown = tool.json("security", "group", "show", "web")
    (rule,) = shown["rules"]
    assert (rule["from_port"], rule["to_port"]) == (80, 80)
    assert instance.uuid in tool.refused("security", "group", "delete", "web")
    done = tool.run("security", "group", "remove", "instance", "web", "vm_1")
    assert done.returncode == 0
    done = tool.run("security", "group", "rule", "delete", str(rule["id"]))
    assert done.returncode == 0
    assert tool.printed("security", "group", "delete", "web")
    assert tool.json("security", "group", "list") == []


@pytest.mark.parametrize(
    ("words", "protocol", "cidr"),
    [
        ((), None, "0.0.0.0/0"),
        (("--protocol", "tcp", "--from-port", "22"), "tcp", "0.0.0.0/0"),
        (("--protocol", "vrrp"), "vrrp", "0.0.0.0/0"),
        (("--ethertype", "IPv6"), None, "::/0"),
        (("--protocol", "ipv6-icmp"), "icmpv6", "::/0"),
        (("--protocol", "icmp", "--ethertype", "ipv6"), "icmpv6", "::/0"),
    ],
)
def test_a_rule_without_a_source_is_written_and_is_in_force(
    tool, database, words, protocol, cidr
):
    """What the tool says is what the plan of a host makes of the row."""
    instance = an_instance(database)
    security_groups.create(database, name="web", project_id="blue")
    memberships.add_instance(database, group="web", instance="vm_1")
    made = json.loads(tool.run(*RULE, *words, "-f", "json").stdout)
    assert (made["protocol"], made["cidr"]) == (protocol, cidr)
    (shown,) = tool.json("security", "group", "show", "web")["rules"]
    assert shown["cidr"] == cidr
    assert shown["fault"] is None
    (group,) = snapshot.read(database, instance.host).security_groups
    assert openings(group.rules[0], {}) != ()


def test_a_row_that_lets_nothing_in_is_shown_with_the_reason(tool, database):
    security_groups.create(database, name="web", project_id="blue")
    with sqlite3.connect(tool.path) as connection:
        connection.execute(
            "INSERT INTO security_group_rules (parent_group_id) VALUES (1)"
        )
    connection.close()
    (shown,) = tool.json("security", "group", "show", "web")["rules"]
    assert "exactly one of cidr and source group" in shown["fault"]


def test_later_files_win(tool, tmp_path):
    later = tmp_path / "conf.d"
    later.mkdir()
    (later / "bridge.conf").write_text(
        "[DEFAULT]\nflat_network_bridge = br9\n"
    )
    tool.configure("flat_network_bridge = br8")
    made = json.loads(
        tool.run(
            *("--config-dir", str(later), *NETWORK), *("-f", "json")
        ).stdout
    )
    assert made["bridge"] == "br9"
