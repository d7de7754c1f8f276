"""A daemon that cannot start says why in one line, and what to do."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from flatnet.db import schema
from flatnet.db.engine import Database
from flatnet.lab.readable import program_trees, readable
from tests.unit.tool import run

# The status of timeout(1).
TIMED_OUT = 124
SECONDS = 60
# One letter less than the section.
MISTYPED = "database".replace("ba", "b")
PROGRAM = (str(Path(sys.executable).parent / "flatnet-manager"),)


@pytest.fixture
def tmp_path(tmp_path_factory):
    """A directory where the daemon, who is nobody, may read and write."""
    with tempfile.TemporaryDirectory(prefix="fnt-") as name:
        Path(name).chmod(0o1777)
        yield Path(name)


def text(directory, lines, database):
    """A configuration file's text."""
    return "\n".join(
        [
            "[DEFAULT]",
            "host = node1",
            "my_ip = 127.0.0.1",
            f"state_path = {directory}/state",
            "manager_user = nobody",
            *lines,
            "[database]",
            f"connection = {database}",
            "",
        ]
    )


@pytest.fixture
def daemon(tmp_path):
    """A function that runs the daemon on lines of [DEFAULT]."""

    def start(
        *lines,
        connection=None,
        arguments=(),
        before=(),
        cwd=None,
        program=(sys.executable, "-m", "flatnet.cmd.manager"),
    ):
        database = connection or f"sqlite:///{tmp_path}/flatnet.sqlite"
        config = tmp_path / "flatnet.conf"
        config.write_text(text(tmp_path, lines, database))
        # In a network of its own: whatever it did would be nobody's.
        command = [*before, *program, "--config-file", str(config)]
        command = readable([*command, *arguments], program_trees())
        return subprocess.run(
            ["unshare", "--net", "--mount", *command],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            cwd=cwd,
        )

    return start


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
        ("tap_owner = no-such-user", "no-such-user"),
        ("tap_group = no-such-group", "no-such-group"),
        ("foreign_ports = open", "open"),
        ("flat_network_bridge = bridge-of-guests", "15 characters"),
        ("flat_network_bridge = br/100", "br/100"),
        ("flat_interface = eth7", "'eth7'"),
        ("public_interface = uplink-of-rack-7", "15 characters"),
        ("forward_bridge_interface = uplink-of-rack-7", "15 characters"),
        ("dnsmasq_config_file = /nowhere/dnsmasq", "/nowhere/dnsmasq"),
        ("iptables_top_regex = (", "'('"),
        ("iptables_bottom_regex = (", "'('"),
        ("metrics_listne = 127.0.0.1:9", "no option of flatnet"),
        ("transport_url = carrot://u:p@127.0.0.1/", "looking for 'carrot'"),
        (f"[{MISTYPED}]\nconnection = x", "did you mean [database]?"),
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
    url = "mysql://flatnet:secret@127.0.0.1:1/flatnet"
    done = daemon(connection=url, before=("timeout", "12"))
    assert done.returncode == TIMED_OUT
    (line,) = done.stderr.splitlines()
    assert line.endswith("waiting for it")
    assert "127.0.0.1:1/flatnet" in line
    assert "secret" not in line


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
    for path in tmp_path.glob("flatnet.sqlite*"):
        path.chmod(0o666)
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


@pytest.mark.parametrize("user", ["root", ""])
def test_it_does_not_serve_as_root(daemon, tmp_path, user):
    text = complaint(daemon(f"manager_user = {user}"))
    assert f"manager_user = {user!r}" in text
    assert "does not serve as root" in text
    assert not (tmp_path / "state").exists()


def test_who_is_not_root_stays_who_he_is(daemon):
    as_nobody = ("setpriv", "--reuid=nobody", "--clear-groups", "--")
    text = complaint(daemon("manager_user = daemon", before=as_nobody))
    assert "only root can become that user" in text


def upgraded(tmp_path):
    """`flatnet db upgrade` by root, before any daemon; the file's path."""
    path = tmp_path / "state" / "flatnet.sqlite"
    config = tmp_path / "flatnet.conf"
    config.write_text(text(tmp_path, [], f"sqlite:///{path}"))
    done = run("--config-file", str(config), "db", "upgrade")
    assert (done.returncode, done.stderr) == (0, "")
    return path


def given_to_root(path):
    """As systemd does with a directory of state that it sees first."""
    for each in (path.parent, path):
        shutil.chown(each, "root", "nogroup")
    path.parent.chmod(0o1775)


def closed(path):
    """As `flatnet db upgrade` left its directory before."""
    shutil.chown(path.parent, "root", "root")
    path.parent.chmod(0o750)
    upgraded(path.parents[1])


def made_before_its_user(path):
    """As by `flatnet db upgrade` before there was a manager_user."""
    for each in (path.parent, path):
        shutil.chown(each, "root", "root")
    path.parent.chmod(0o755)
    path.chmod(0o600)


@pytest.mark.parametrize(
    "later", [Path.exists, given_to_root, closed, made_before_its_user]
)
def test_a_database_that_root_made_is_the_daemons_too(daemon, tmp_path, later):
    path = upgraded(tmp_path)
    later(path)
    # It comes to the host once it has written to the database.
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks").chmod(0o777)
    options = f"networks_path = {tmp_path}/networks"
    done = daemon(options, connection=f"sqlite:///{path}")
    assert "others than root may write there" in done.stderr.splitlines()[-1]
    # Not for who merely looks in: who can read it can lock it.
    assert (path.owner(), path.group()) == ("root", "nogroup")
    assert oct(path.stat().st_mode) == "0o100660"


def test_no_other_file_is_given_away(daemon, tmp_path):
    """Not one that a link, or a second name, leads to."""
    victim = tmp_path / "victim"
    victim.touch(mode=0o600)
    complaint(daemon())
    path = tmp_path / "state" / "flatnet.sqlite"
    for lead in (path.symlink_to, path.hardlink_to):
        lead(victim)
        upgraded(tmp_path)
        assert victim.group() == "root"
        assert oct(victim.stat().st_mode) == "0o100600"
        path.unlink()
        victim.write_text("")


def test_its_state_is_not_its_to_replace(daemon, tmp_path):
    """It keeps files there, beside what the applier keeps."""
    complaint(daemon())
    state = tmp_path / "state"
    assert oct(state.stat().st_mode) == "0o41775"
    assert (state.stat().st_uid, state.owner()) == (0, "root")
    assert state.group() == "nogroup"
    networks = state / "networks"
    assert networks.owner() == "root"


def test_others_cannot_hold_its_lock(daemon, tmp_path):
    """Else any user of the machine could keep it from starting."""
    complaint(daemon())
    lock = tmp_path / "state" / "flatnet-manager.lock"
    assert oct(lock.stat().st_mode) == "0o100600"
    lock.chmod(0o644)
    complaint(daemon())
    assert oct(lock.stat().st_mode) == "0o100600"
    shutil.chown(lock, "nobody")
    text = complaint(daemon())
    assert f"{lock} cannot be opened" in text
    assert "remove it" in text


@pytest.mark.parametrize("target", ["/nowhere", "victim"])
def test_the_lock_follows_no_link(daemon, tmp_path, target):
    (tmp_path / "state").mkdir(mode=0o777)
    (tmp_path / "victim").write_text("dear")
    lock = tmp_path / "state" / "flatnet-manager.lock"
    lock.symlink_to(tmp_path / target)
    assert str(lock) in complaint(daemon())
    assert (tmp_path / "victim").read_text() == "dear"


def test_what_lies_in_the_directory_is_no_part_of_it(daemon, tmp_path):
    for name in ("msgspec", "pyroute2", "flatnet"):
        (tmp_path / f"{name}.py").write_text(
            f"open({str(tmp_path / 'executed')!r}, 'w')"
        )
    started = daemon(cwd=tmp_path, program=PROGRAM)
    assert "flatnet db upgrade" in complaint(started)
    assert not (tmp_path / "executed").exists()
