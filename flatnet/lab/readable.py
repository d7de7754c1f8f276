"""Let the daemons of a lab read a program that lies below closed directories.

They become `nobody`, who cannot enter a home directory as Debian makes them.
A daemon of the lab has a mount namespace of its own, which `ip netns exec`
gives to what it runs; in there the closed directory is replaced by one that
has just the program in it, at the same path.
"""

import shlex
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from flatnet.lab.namespaces import LabError

# Where trees wait while what is above them is covered.
_SHELF = "/mnt"


def program_trees() -> tuple[Path, ...]:
    """The directories that a daemon reads its program from."""
    places = (Path(__file__).parents[2], sys.prefix, sys.base_prefix)
    trees = {Path(each).resolve() for each in places} - {Path("/usr")}
    return tuple(
        sorted(
            tree
            for tree in trees
            if not any(other in tree.parents for other in trees)
        )
    )


def readable(command: Sequence[str], trees: Sequence[Path]) -> list[str]:
    """Return `command` as one that can read `trees` as any user.

    To be run in a mount namespace of its own.

    :raises LabError: a tree itself is closed to others
    """
    covers = {tree: _cover(tree) for tree in trees}
    closed = [tree for tree in trees if covers[tree]]
    for tree in closed:
        if not tree.stat().st_mode & stat.S_IXOTH:
            raise LabError(
                f"{tree} is closed to others, and the daemons run as nobody: "
                f"chmod o+rx {tree}"
            )
    if not closed:
        return list(command)
    lines = [f"mount -t tmpfs -o mode=755 tmpfs {_SHELF}"]
    for number, tree in enumerate(closed):
        shelf = f"{_SHELF}/{number}"
        lines.append(f"mkdir {shelf}; mount --rbind {_quoted(tree)} {shelf}")
    lines += [
        f"mount -t tmpfs -o mode=755 tmpfs {_quoted(cover)}"
        for cover in sorted(
            {covers[tree] for tree in closed} - {None}, key=str
        )
    ]
    for number, tree in enumerate(closed):
        target = _quoted(tree)
        lines.append(
            f"mkdir -p {target}; mount --rbind {_SHELF}/{number} {target}"
        )
    text = "set -e; umask 022; here=$(pwd); " + "; ".join(lines)
    # The directory that we are in may be covered now.
    text += '; cd "$here" 2>/dev/null || cd /; exec "$@"'
    return ["sh", "-c", text, "sh", *command]


def _cover(tree: Path) -> Path | None:
    """The highest directory above a tree that others cannot enter."""
    for directory in reversed(tree.parents):
        if not directory.stat().st_mode & stat.S_IXOTH:
            return directory
    return None


def _quoted(path: Path | None) -> str:
    return shlex.quote(str(path))
