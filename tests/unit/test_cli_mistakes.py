"""Every mistake gets one line on stderr and its exit status; nothing else."""

import os
import sqlite3
import subprocess
import sys

import pytest

from flatnet.db import networks
from tests.db.conftest import a_daemon
from tests.unit.tool import (
    INSTANCE,
    RULE,
    a_network,
    an_instance,
    one_line,
    run,
)

# One letter less than the section.
MISTYPED = "database".replace("ba", "b")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "which command?"),
        (("--frob", "network", "list"), "--frob"),
        (("networks", "list"), "did you mean network create"),
        (("network",), "network show"),
        (("network", "list", "--frob"), "network list: unrecognized"),
        (("network", "create"), "LABEL, --cidr"),
        (("network", "create", "--mtu", "x"), "--mtu"),
        (("network", "list", "-f", "xml"), "'xml'"),
        (("network", "list", "-c", "colour"), "'colour', only UUID"),
        (("security", "group", "rule", "delete", "9" * 30), "ID"),
        (("network", "show", "\udce9"), "UTF-8"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(words, says):
    assert says in one_line(run(*words), status=2)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("more", "--cidr", "rubbish"), "'rubbish'"),
        (("more", "--cidr", "10.1.0.1/24"), "host bits"),
        (("more", "--cidr", "10.0.0.128/25"), "overlaps 10.0.0.0/24"),
        (("more", "--cidr", "10.1.0.0/24"), "br100"),
        (
            ("more", "--cidr", "10.1.0.0/24", "--bridge", "b" * 16),
            "15 characters",
        ),
        (("more", "--cidr", "10.1.0.0/24", "--mtu", "9"), "mtu 9"),
        (("more", "--cidr", "10.1.0.0/24", "--gateway", "x"), "'x'"),
        (("", "--cidr", "10.1.0.0/24", "--bridge", "br1"), "label"),
        (
            ("private", "--cidr", "10.1.0.0/24", "--bridge", "br1"),
            "label private is that of network private",
        ),
        (("more", "--cidr", "169.254.169.0/24"), "169.254.169.254"),
    ],
)
def test_a_bad_network_is_refused_and_changes_nothing(
    tool, database, words, says
):
    a_network(database)
    assert says in tool.refused("network", "create", *words)
    assert len(networks.list_all(database)) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("network", "show", "nope"), "no network"),
        (("network", "delete", "nope"), "no network"),
        (("instance", "show", "nope"), "no living instance"),
        (("instance", "allocate", "nope"), "no living instance"),
        (("instance", "deallocate", "nope"), "no living instance"),
        (("instance", "allocate", "vm_2"), "from host node2"),
        (("instance", "deallocate", "x"), "nothing to take away"),
        (("host", "show", "node2"), "from host node2"),
        ((*INSTANCE, "--uuid", "x"), "'x' is not a uuid"),
        (("instance", "allocate", "vm_1", "--network", "no"), "no network"),
        (("instance", "allocate", "vm_1", "--address", "x"), "'x' is not"),
        (
            ("instance", "allocate", "vm_1", "--address", "192.0.2.1"),
            "no network has the address 192.0.2.1",
        ),
        (("network", "show", "a\nb\x1b[31m"), r"'a\nb\x1b[31m'"),
    ],
)
def test_what_does_not_exist_is_named(tool, database, words, says):
    a_network(database)
    a_daemon(database, "node1")
    an_instance(database)
    an_instance(database, "vm_2", "node2")
    assert says in tool.refused(*words)


def test_a_broker_that_is_down_is_named_without_its_password(tool, database):
    an_instance(database)
    a_daemon(database, "node1")
    line = tool.refused("instance", "allocate", "vm_1")
    assert "rabbit://flatnet:***@127.0.0.1:1/" in line
    assert "refused" in line
    assert "transport_url" in line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--protocol", "frob"), "'frob'"),
        (
            ("--protocol", "tcp", "--from-port", "9", "--to-port", "1"),
            "ports 9 to 1",
        ),
        (("--protocol", "gre", "--from-port", "1"), "gre has no ports"),
        (("--protocol", "0"), "every protocol"),
        (("--protocol", "icmp", "--from-port", "255"), "-1 is any"),
        (("--ethertype", "IPv6", "--cidr", "10.0.0.0/8"), "is not IPv6"),
        (("--ethertype", "IPv4", "--protocol", "icmpv6"), "icmpv6 never"),
        (("--ethertype", "IPv6", "--source-group", "web"), "ethertype"),
        (("--from-port", "1"), "has no ports"),
        (("--cidr", "10.0.0.0/99"), "'10.0.0.0/99'"),
        (("--source-group", "gone"), "'gone'"),
    ],
)
def test_a_bad_rule_is_refused(tool, words, says):
    tool.printed("security", "group", "create", "web", "--project-id", "blue")
    assert says in tool.refused(*RULE, *words)
    assert tool.json("security", "group", "show", "web")["rules"] == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("network_manager = Frob", "Frob"),
        ("reconcile_interval = often", "often"),
        ("routing_source_ip = x", "routing_source_ip = 'x'"),
        ("what is this", "flatnet.conf"),
        ("flat_network_bridge = bridge-of-guests", "15 characters"),
        ("metrics_listne = 1", "metrics_listne"),
        ("[database]\nconection = x", "did you mean connection?"),
        (f"[{MISTYPED}]\nconnection = x", "did you mean [database]?"),
        ("[db]\nconnection = x", "did you mean [database]?"),
        ("[default]\nhost = x", "did you mean [DEFAULT]?"),
        ("[flatnet]\ntransport_url = x", "did you mean [DEFAULT]?"),
    ],
)
def test_a_bad_configuration_is_one_line(tool, text, says):
    tool.configure(text)
    assert says in tool.refused("network", "list")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("carrot://u:secret@127.0.0.1/", "looking for 'carrot'"),
        ("rabbit://u:secret@127.0.0.1:port/", "host:5672"),
        ("rabbit://u:sec/ret@127.0.0.1/", "a slash in a password is %2F"),
        ("u:secret@127.0.0.1", "rabbit://user:password"),
    ],
)
def test_a_broker_that_cannot_be_meant(tool, database, url, says):
    a_daemon(database, "node1")
    tool.configure(broker=url)
    line = tool.refused("host", "show", "node1")
    assert says in line
    assert "sec" not in line


def test_a_nova_conf_is_no_mistake(tool):
    """One file may serve nova and flatnet, as it did nova-network."""
    tool.configure(
        "compute_driver = libvirt.LibvirtDriver\nuse_neutron = False\n"
        "instances_path = /srv\nlog-dir = /var/log\nfixed_range =\n"
        "send_arp_for_ha = True\nrabbit_host = x\nosapi_compute_workers = 1\n"
        "[libvirt]\nvirt_type = qemu\n[vif_plug_ovs]\nhost = x\n"
        "[api_database]\nconnection = x\n[database]\nmax_pool_size = 5\n"
    )
    tool.printed("network", "list")


@pytest.mark.parametrize("words", [("network", "list"), ("db", "version")])
def test_no_file_is_made_where_no_database_is(tool, tmp_path, words):
    state = tmp_path / "state"
    state.mkdir()
    tool.config.write_text(f"[DEFAULT]\nstate_path = {state}\n")
    line = tool.refused(*words)
    assert f"sqlite:///{state}/flatnet.sqlite does not exist" in line
    assert "flatnet db upgrade" in line
    assert list(state.iterdir()) == []


def test_configuration_files_that_are_not(tool, tmp_path):
    missing = str(tmp_path / "missing.conf")
    assert missing in one_line(run("--config-file", missing, "host", "list"))
    where = str(tmp_path)
    assert where in one_line(run("--config-file", where, "host", "list"))
    assert missing in one_line(run("--config-dir", missing, "host", "list"))
    tool.config.write_bytes(b"[DEFAULT]\nhost = \xff\n")
    tool.refused("host", "list")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://u:secret@127.0.0.1:1/flatnet", "u:***@127.0.0.1:1"),
        ("postgresql://u:secret@127.0.0.1:1/flatnet", "u:***@127.0.0.1:1"),
        ("sqlite:////nowhere/flatnet.sqlite", "/nowhere/flatnet.sqlite"),
        ("oracle://u:secret@127.0.0.1/flatnet", "oracle"),
        ("rubbish secret", "[database] connection"),
    ],
)
def test_a_database_that_cannot_be_used(tool, url, says):
    tool.configure(url=url)
    line = tool.refused("network", "list")
    assert says in line
    assert "secret" not in line


def test_a_database_at_another_revision(tool):
    with sqlite3.connect(tool.path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffff'")
    connection.close()
    for words in (("network", "list"), ("db", "version"), ("db", "upgrade")):
        assert "ffff" in tool.refused(*words)


def test_who_stops_reading_is_no_error(tool):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as output:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "flatnet.cmd.cli.main"),
                *("--config-file", str(tool.config), "network", "list"),
            ],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.stderr == ""


def test_debug_logs_the_traceback(tool):
    done = tool.run("--debug", "network", "show", "nope")
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("flatnet: no network")
