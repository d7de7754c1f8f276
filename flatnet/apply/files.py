"""Files that are replaced whole, or not at all."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from flatnet.exceptions import HostSetupError

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def make_directory(path: str) -> None:
    """Make a directory where nobody but root keeps files.

    :raises HostSetupError: others could change what is in it or above it
    """
    if not os.path.isdir(path):
        os.makedirs(path)
        os.chmod(path, 0o755)
    check_owned(path)


def make_readable_directory(path: str) -> None:
    """Make a directory whose files dnsmasq can read at any time.

    dnsmasq reads them as root when it starts and as nobody when it is told
    to read them again, so that a directory closed to others would cost only
    the guests that come later.

    :raises HostSetupError: others cannot enter it; or as `make_directory`
    """
    make_directory(path)
    directory = Path(path).resolve()
    for each in (directory, *directory.parents):
        if not each.stat().st_mode & stat.S_IXOTH:
            raise HostSetupError(
                f"dnsmasq, which runs as nobody, cannot enter {each}: chmod "
                f"o+x {each}"
            )


def check_owned(path: str) -> None:
    """Check that nobody else can change or replace a directory of ours.

    Also if it is a link: then along both ways.

    :raises HostSetupError: who can, where, and what to do
    """
    given = Path(path).absolute()
    for directory in dict.fromkeys((given, given.resolve())):
        found = directory.stat()
        if not _is_ours(found) or found.st_mode & _OTHERS_WRITE:
            raise HostSetupError(
                f"networks_path {directory}: others than root may write "
                f"there ({_described(found)}): chown root {directory}; chmod "
                f"go-w {directory}"
            )
        for above in directory.parents:
            found = above.stat()
            is_shared = found.st_mode & _OTHERS_WRITE
            if not _is_ours(found) or (
                is_shared and not found.st_mode & stat.S_ISVTX
            ):
                raise HostSetupError(
                    f"networks_path {path}: others than root may replace "
                    f"what is in {above} ({_described(found)}): chown root "
                    f"{above}; chmod go-w {above} (or +t, where they have "
                    "files of their own there)"
                )


def _is_ours(found: os.stat_result) -> bool:
    return found.st_uid in (0, os.geteuid())


def _described(found: os.stat_result) -> str:
    return f"owner {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o}"


def holds(path: str, text: str, *, mode: int = 0o644) -> bool:
    """Whether a file has just this text and these permissions."""
    body = text.encode()
    with (
        contextlib.suppress(FileNotFoundError),
        open(path, "rb", opener=_unfollowed) as present,
    ):
        found = stat.S_IMODE(os.fstat(present.fileno()).st_mode)
        return found == mode and present.read(len(body) + 1) == body
    return False


def _unfollowed(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def replace(path: str, text: str, *, mode: int = 0o644) -> None:
    """Make a file hold `text`.

    A reader sees the old text or the new, at any moment.
    """
    body = text.encode()
    directory, name = os.path.split(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=directory)
    try:
        with open(handle, "wb") as stream:
            stream.write(body)
            os.fchmod(stream.fileno(), mode)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def remove(path: str) -> bool:
    """Remove a file; return whether it was there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def read(path: str) -> str:
    """Return a file's text, empty if there is none."""
    try:
        with open(
            path, encoding="utf-8", errors="replace", opener=_unfollowed
        ) as stream:
            return stream.read()
    except FileNotFoundError:
        return ""
