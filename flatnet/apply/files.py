"""Files that are replaced whole, or not at all."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from flatnet.apply.owned import make_owned
from flatnet.exceptions import HostSetupError


def make_readable_directory(path: str) -> None:
    """Make a directory whose files dnsmasq can read at any time.

    dnsmasq reads them as root when it starts and as nobody when it is told
    to read them again, so that a directory closed to others would cost only
    the guests that come later.

    :raises HostSetupError: others cannot enter it; or as `make_owned`
    """
    make_owned(path)
    directory = Path(path).resolve()
    for each in (directory, *directory.parents):
        if not each.stat().st_mode & stat.S_IXOTH:
            raise HostSetupError(
                f"dnsmasq, which runs as nobody, cannot enter {each}: chmod "
                f"o+x {each}"
            )


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
