"""A program below a closed home directory, read by the daemons' user."""

import subprocess
import tempfile
from pathlib import Path

import pytest

from flatnet.lab.namespaces import LabError
from flatnet.lab.readable import program_trees, readable

AS_NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")


@pytest.fixture
def home():
    """home/user, closed, with two programs and a letter in it."""
    with tempfile.TemporaryDirectory(prefix="fnt-") as name:
        Path(name).chmod(0o755)
        user = Path(name) / "home" / "some user"
        for program in ("tree", "deep/er/venv"):
            (user / program).mkdir(parents=True)
            (user / program / "file").write_text(program)
        (user / "letter").write_text("dear")
        user.chmod(0o700)
        yield user


def run(*command):
    done = subprocess.run(
        ["unshare", "--mount", *command],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_nobody_reads_the_program_and_nothing_else(home):
    trees = [home / "tree", home / "deep/er/venv"]
    paths = [str(tree / "file") for tree in trees]
    assert run(*AS_NOBODY, "cat", *paths)[0] == 1
    assert run(*readable([*AS_NOBODY, "cat", *paths], trees)) == (
        0,
        "treedeep/er/venv",
    )
    letter = str(home / "letter")
    assert run(*readable([*AS_NOBODY, "cat", letter], trees))[0] == 1
    # Outside nothing has changed.
    assert (home / "letter").read_text() == "dear"
    assert "some user" not in Path("/proc/mounts").read_text()


def test_what_is_open_is_left_alone(home):
    home.chmod(0o755)
    assert readable(["true"], [home / "tree"]) == ["true"]


def test_a_program_that_is_closed_itself_is_told(home):
    (home / "tree").chmod(0o700)
    with pytest.raises(LabError, match="chmod o\\+rx"):
        readable(["true"], [home / "tree"])


def test_what_runs_here_is_among_the_trees():
    here = Path(__file__).resolve()
    assert any(tree in here.parents for tree in program_trees())
