"""Let the daemons of a lab read a program that lies below closed directories.

They become `nobody`, who cannot enter a home directory as Debian makes them.
A daemon of the lab has a mount namespace of its own, which `ip netns exec`
gives to what it runs; in there the closed directory is replaced by one that
has just the program in it, at the same path.
"""

import shlex
import stat
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from flatnet.lab.namespaces import LabError

# Where trees wait while what is above them is covered: the first of these
# that is there and above none of them.
_SHELVES = (Path("/mnt"), Path("/media"), Path("/srv"), Path("/opt"))


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
    for tree in trees:
        if not tree.stat().st_mode & stat.S_IXOTH:
            raise LabError(
                f"{tree} is closed to others, and the daemons run as nobody: "
                f"chmod -R o+rX {tree}"
            )
    covers = {
        tree: cover for tree in trees if (cover := _cover(tree)) is not None
    }
    if not covers:
        return list(command)
    lines = _mounts(covers, _shelf(covers))
    text = "set -e; umask 022; here=$(pwd); " + "; ".join(lines)
    # The directory that we are in may be covered now.
    text += '; cd "$here" 2>/dev/null || cd /; exec "$@"'
    return ["sh", "-c", text, "sh", *command]


def _shelf(trees: Iterable[Path]) -> Path:
    """A directory that can be covered for a while.

    :raises LabError: there is none
    """
    needed = {above for tree in trees for above in (tree, *tree.parents)}
    for shelf in _SHELVES:
        if shelf.is_dir() and shelf not in needed:
            return shelf
    names = ", ".join(map(str, _SHELVES))
    raise LabError(
        f"none of {names} is free to mount on in the daemons' namespace: "
        "mkdir one of them"
    )


def _mounts(covers: Mapping[Path, Path], shelf: Path) -> list[str]:
    """Commands that put each tree onto the shelf, cover, and put it back.

    The shelf is cleared in the end: what it hid may be needed.
    """
    numbered = dict(enumerate(covers))
    lines = [f"mount -t tmpfs -o mode=755 tmpfs {_quoted(shelf)}"]
    for number, tree in numbered.items():
        place = _quoted(shelf / str(number))
        lines.append(f"mkdir {place}; mount --rbind {_quoted(tree)} {place}")
    lines += [
        f"mount -t tmpfs -o mode=755 tmpfs {_quoted(cover)}"
        for cover in sorted(set(covers.values()))
    ]
    for number, tree in numbered.items():
        place, target = _quoted(shelf / str(number)), _quoted(tree)
        lines.append(f"mkdir -p {target}; mount --rbind {place} {target}")
    return [*lines, f"umount --recursive {_quoted(shelf)}"]


def _cover(tree: Path) -> Path | None:
    """The highest directory above a tree that others cannot enter."""
    for directory in reversed(tree.parents):
        if not directory.stat().st_mode & stat.S_IXOTH:
            return directory
    return None


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
