"""Root's tool beside a daemon that has its SQLite database open.

What the daemon makes there is its own.  Where `fs.protected_regular` is 2 not
even root opens that, which a root without CAP_DAC_OVERRIDE stands for here:
the setting is the whole machine's.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.unit.test_daemon_start import upgraded

# Stays until its stdin is closed.
HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("UPDATE alembic_version SET version_num = version_num")
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def database():
    """The path of a database that `flatnet db upgrade` has made."""
    with tempfile.TemporaryDirectory(prefix="fnt-") as name:
        Path(name).chmod(0o1777)
        yield upgraded(Path(name))


@pytest.fixture
def daemons(database):
    """A process of the daemon's user that has it open."""
    holder = subprocess.Popen(
        [
            *("setpriv", "--reuid=nobody", "--regid=nogroup"),
            *("--clear-groups", "--"),
            *("/usr/bin/python3", "-I", "-c", HOLDER, str(database)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout.readline() == b"open\n"
    yield holder
    holder.communicate()


def tool(database, *words):
    config = database.parents[1] / "flatnet.conf"
    caps = "-dac_override"
    done = subprocess.run(
        [
            *("setpriv", f"--bounding-set={caps}", f"--inh-caps={caps}"),
            *(sys.executable, "-m", "flatnet.cmd.cli.main"),
            *("--config-file", str(config), *words),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.usefixtures("daemons")
def test_root_works_on_what_the_daemon_has_open(database):
    files = sorted(database.parent.glob("flatnet.sqlite-*"))
    assert [each.owner() for each in files] == ["nobody", "nobody"]
    tool(database, "network", "create", "private", "--cidr", "10.0.0.0/24")
    assert "private" in tool(database, "network", "list")
    assert "up to date" in tool(database, "db", "upgrade")


def test_root_leaves_no_file_that_the_daemon_cannot_write(database):
    tool(database, "network", "create", "private", "--cidr", "10.0.0.0/24")
    assert [each.name for each in database.parent.iterdir()] == [
        "flatnet.sqlite"
    ]
    assert oct(database.stat().st_mode) == "0o100660"
    assert (database.owner(), database.group()) == ("root", "nogroup")


def test_a_database_before_its_user_is_closed_and_its_directory_open(tmp_path):
    """dnsmasq, as nobody, passes through a state_path, whatever the umask."""
    path = tmp_path / "state" / "flatnet.sqlite"
    config = tmp_path / "flatnet.conf"
    config.write_text(
        f"[DEFAULT]\nstate_path = {path.parent}\nmanager_user = no-such\n"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "flatnet.cmd.cli.main"),
            *("--config-file", str(config), "db", "upgrade"),
        ],
        umask=0o077,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert oct(path.parent.stat().st_mode) == "0o40755"
    assert oct(path.stat().st_mode) == "0o100600"
