"""A program below a closed home directory, read by the daemons' user."""

import subprocess
import sys
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


# A machine of which we know what lies where, to be run in a namespace.
ELSEWHERE = """
import subprocess, sys
from pathlib import Path
from flatnet.lab.readable import readable

for place in ("/mnt", "/media", "/srv"):
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", place], check=True
    )
for name in sys.argv[1:]:
    tree = Path(name)
    tree.mkdir(parents=True)
    (tree / "file").write_text(name)
    (tree.parent / "letter").write_text("dear")
    if "closed" in name:
        tree.parent.chmod(0o700)
Path("/mnt/conf").write_text("conf")
files = [f"{name}/file" for name in sys.argv[1:]]
words = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
words += ["cat", *files, "/mnt/conf"]
trees = [Path(name) for name in sys.argv[1:]]
subprocess.run(["unshare", "--mount", *readable(words, trees)], check=True)
"""


@pytest.mark.parametrize(
    "trees",
    [
        ("/mnt/open/tree", "/srv/closed/venv"),
        ("/mnt/closed/tree",),
        ("/mnt/closed/tree", "/media/closed/venv"),
    ],
)
def test_it_may_lie_where_things_are_mounted(trees):
    """And what else lies there is there still."""
    done = run(sys.executable, "-c", ELSEWHERE, *trees)
    assert done == (0, "".join(trees) + "conf")


def test_what_is_open_is_left_alone(home):
    home.chmod(0o755)
    assert readable(["true"], [home / "tree"]) == ["true"]


def test_a_program_that_is_closed_itself_is_told(home):
    (home / "tree").chmod(0o700)
    for mode in (0o700, 0o755):
        home.chmod(mode)
        with pytest.raises(LabError, match="chmod -R o\\+rX"):
            readable(["true"], [home / "tree"])


def test_what_runs_here_is_among_the_trees():
    here = Path(__file__).resolve()
    assert any(tree in here.parents for tree in program_trees())
