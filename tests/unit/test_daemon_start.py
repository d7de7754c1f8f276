"""A daemon that cannot start says why in one line, and what to do."""

import subprocess
import sys

import pytest

from flatnet.db import schema
from flatnet.db.engine import Database

SECONDS = 60


@pytest.fixture
def daemon(tmp_path):
    """A function that runs the daemon on lines of [DEFAULT]."""

    def run(*lines, connection=None, arguments=()):
        database = connection or f"sqlite:///{tmp_path}/flatnet.sqlite"
        config = tmp_path / "flatnet.conf"
        config.write_text(
            "\n".join(
                [
                    "[DEFAULT]",
                    "host = node1",
                    "my_ip = 127.0.0.1",
                    f"state_path = {tmp_path}/state",
                    *lines,
                    "[database]",
                    f"connection = {database}",
                    "",
                ]
            )
        )
        # In a network of its own: whatever it did would be nobody's.
        command = ["unshare", "--net", sys.executable, "-m"]
        command += ["flatnet.cmd.manager", "--config-file", str(config)]
        return subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    return run


def complaint(done):
    """The one line on stderr of a daemon that failed."""
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert done.stdout == ""
    return line


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("network_manager = nonsense", "nonsense"),
        ("vif_plug = nonsense", "nonsense"),
        ("executor = nonsense", "nonsense"),
        ("reconcile_interval = soon", "soon"),
        ("dhcp_lease_time = 1", "1"),
        ("allow_same_net_traffic = maybe", "maybe"),
        ("dmz_cidr = 10.0.0.1/8", "10.0.0.1/8"),
        ("dns_server = nonsense", "nonsense"),
        ("routing_source_ip = nonsense", "nonsense"),
        ("metadata_port = 70000", "70000"),
        ("manager_user = no-such-user", "no-such-user"),
    ],
)
def test_an_unknown_value_names_option_value_and_file(
    daemon, tmp_path, line, value
):
    text = complaint(daemon(line))
    assert line.split()[0] in text
    assert value in text
    if "manager_user" not in line:
        assert str(tmp_path / "flatnet.conf") in text


def test_a_mistyped_option_is_not_passed_over(daemon):
    text = complaint(daemon("allow_same_net_trafic = False"))
    assert "allow_same_net_trafic" in text
    assert "allow_same_net_traffic" in text


def test_a_missing_file_is_named(daemon):
    text = complaint(daemon(arguments=("--config-file", "/nowhere/f.conf")))
    assert "/nowhere/f.conf" in text


def test_bad_usage_is_status_2(daemon):
    assert daemon(arguments=("--nonsense",)).returncode == 2


def test_a_database_that_is_down(daemon):
    text = complaint(
        daemon(connection="mysql://flatnet:secret@127.0.0.1:1/flatnet")
    )
    assert "127.0.0.1:1/flatnet" in text
    assert "secret" not in text


def test_a_database_at_the_wrong_revision(daemon, tmp_path):
    assert "flatnet db upgrade" in complaint(daemon())
    database = Database(f"sqlite:///{tmp_path}/flatnet.sqlite")
    schema.upgrade(database)
    database.write(
        lambda connection: connection.exec_driver_sql(
            "UPDATE alembic_version SET version_num = '9999'"
        )
    )
    database.close()
    assert "9999" in complaint(daemon())


def test_a_state_path_that_cannot_be_made(daemon, tmp_path):
    (tmp_path / "file").write_text("")
    text = complaint(daemon(f"state_path = {tmp_path}/file/state"))
    assert f"{tmp_path}/file/state" in text


def test_help_and_version_say_it_all(daemon):
    assert daemon(arguments=("--version",)).returncode == 0
    helped = daemon(arguments=("--help",))
    assert helped.returncode == 0
    assert "--allow_same_net_traffic" in helped.stdout
