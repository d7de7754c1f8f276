"""A directory that nobody else can change, replace or have made elsewhere.

Root writes files there, so a single place on the way to it that is another's
is enough to have them written elsewhere.  The way is gone as the kernel goes
it, one name after the other, with every link that lies on it: who owns one of
them, or the directory that it lies in, says where it leads.

Nothing is made before all that is above it was found to be ours, and what is
ours in a directory of ours stays ours: others cannot rename it there, as long
as they may not write there or the directory is sticky.
"""

import contextlib
import os
import stat
from pathlib import Path

from flatnet.exceptions import HostSetupError

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
# As many as the kernel follows.
_MOST_LINKS = 40


def make_safe_directory(path: str) -> Path:
    """Make a directory, and those above it, if it is not there; check it.

    Return where it is, with no link on the way.

    :param path: absolute, or of the working directory; it may be a link
    :raises HostSetupError: others could change what is in it or above it;
        one line that says where, who and what to do
    :raises OSError: it cannot be made, or something else lies there
    """
    here = Path("/")
    names = _names(Path(path).absolute())
    links = 0
    while names:
        _check_above(here, path)
        name = names.pop()
        if name == "..":
            # No link leads here, so that this is where it came from.
            here = here.parent
            continue
        entry = here / name
        found = _found_or_made(entry)
        _check_entry(entry, found, path)
        if not stat.S_ISLNK(found.st_mode):
            here = entry
            continue
        links += 1
        if links > _MOST_LINKS:
            raise HostSetupError(f"networks_path {path}: too many links")
        target = Path(os.readlink(entry))
        names += _names(target)
        here = Path("/") if target.is_absolute() else here
    _check_itself(here)
    return here


def _names(path: Path) -> list[str]:
    """The parts of a path, the last one first."""
    parts = path.parts[1:] if path.is_absolute() else path.parts
    return list(reversed(parts))


def _found_or_made(entry: Path) -> os.stat_result:
    with contextlib.suppress(FileNotFoundError):
        return entry.lstat()
    entry.mkdir()
    # Whatever the umask: dnsmasq enters it as nobody.
    entry.chmod(0o755)
    return entry.lstat()


def _check_above(directory: Path, path: str) -> None:
    found = directory.stat()
    is_shared = found.st_mode & _OTHERS_WRITE
    if is_shared and not found.st_mode & stat.S_ISVTX:
        raise HostSetupError(
            f"networks_path {path}: others than root may replace what is in "
            f"{directory} ({_described(found)}): chown root {directory}; "
            f"chmod go-w {directory} (or +t, where they have files of their "
            "own there)"
        )


def _check_entry(entry: Path, found: os.stat_result, path: str) -> None:
    if found.st_uid in (0, os.geteuid()):
        return
    if stat.S_ISLNK(found.st_mode):
        raise HostSetupError(
            f"networks_path {path}: others than root may replace the link "
            f"{entry} ({_described(found)}): chown -h root {entry}, or "
            "remove it"
        )
    raise HostSetupError(
        f"networks_path {path}: others than root may replace what is in "
        f"{entry} ({_described(found)}): chown root {entry}; chmod go-w "
        f"{entry} (or +t, where they have files of their own there)"
    )


def _check_itself(directory: Path) -> None:
    found = directory.stat()
    if found.st_mode & _OTHERS_WRITE:
        raise HostSetupError(
            f"networks_path {directory}: others than root may write there "
            f"({_described(found)}): chown root {directory}; chmod go-w "
            f"{directory}"
        )


def _described(found: os.stat_result) -> str:
    return f"owner {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o}"
