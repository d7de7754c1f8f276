"""Files that are replaced whole, or not at all; and settings of the kernel.

A pass opens forty, by system calls: Python's own files ask for five things
more each, which nobody needs here.
"""

import contextlib
import ctypes
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from flatnet.apply.safe_directory import make_safe_directory
from flatnet.exceptions import HostSetupError

_AT_ONCE = 1 << 16
# From linux/fcntl.h and linux/fs.h.
_HERE, _EXCHANGE = -100, 2
_RENAME = getattr(ctypes.CDLL(None), "renameat2", None)


def make_readable_directory(path: str) -> None:
    """Make a directory whose files dnsmasq can read at any time.

    dnsmasq reads them as root when it starts and as nobody when it is told
    to read them again, so that a directory closed to others would cost only
    the guests that come later.

    :raises HostSetupError: others cannot enter it; or as `make_safe_directory`
    """
    directory = make_safe_directory(path)
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
        _opened(path, os.O_RDONLY | os.O_NOFOLLOW) as present,
    ):
        found = stat.S_IMODE(os.fstat(present).st_mode)
        return found == mode and _contents(present, len(body) + 1) == body
    return False


@contextlib.contextmanager
def _opened(path: str, flags: int) -> Iterator[int]:
    handle = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


def _contents(handle: int, most: int | None = None) -> bytes:
    """What a file holds, or so many bytes of it."""
    found = b""
    while most is None or len(found) < most:
        wanted = _AT_ONCE if most is None else most - len(found)
        if not (part := os.read(handle, wanted)):
            break
        found += part
    return found


def replace(path: str, text: str, *, mode: int = 0o644) -> None:
    """Make a file hold `text`.

    A reader sees the old text or the new, at any moment.  Given up: where the
    power fails soon after, the file may be found empty.
    """
    body = text.encode()
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}.{secrets.token_hex(8)}")
    with _opened(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    ) as handle:
        try:
            _write(handle, body)
            os.fchmod(handle, mode)
            _put(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


def _put(temporary: str, path: str) -> None:
    """Have a file take the place of another, or be the first there.

    What is renamed over a file is written to the disk at once by ext4, which
    takes ten times as long as all else here: so the two are exchanged.
    """
    if _is_regular(path) and _are_exchanged(temporary, path):
        os.unlink(temporary)
    else:
        os.rename(temporary, path)


def _is_regular(path: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return stat.S_ISREG(os.lstat(path).st_mode)
    return False


def _are_exchanged(one: str, other: str) -> bool:
    """Exchange two files; return whether it could be done.

    Not every file system can, nor every C library.
    """
    if _RENAME is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    return not _RENAME(_HERE, names[0], _HERE, names[1], _EXCHANGE)


def mark(path: str) -> None:
    """Have a file be there, whatever it holds."""
    with _opened(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW):
        pass


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
        with _opened(path, os.O_RDONLY | os.O_NOFOLLOW) as present:
            return _contents(present).decode(errors="replace")
    except FileNotFoundError:
        return ""


def read_setting(path: str | Path) -> str:
    """Return what the kernel tells in a file of /proc.

    :raises OSError: there is no such file, or it tells nothing
    """
    with _opened(str(path), os.O_RDONLY) as present:
        return _contents(present).decode(errors="replace").strip()


def write_setting(path: str | Path, value: str) -> None:
    """Give the kernel a value by a file of /proc.

    :raises OSError: there is no such file, or it takes no such value
    """
    with _opened(str(path), os.O_WRONLY | os.O_TRUNC) as present:
        _write(present, value.encode())


def _write(handle: int, body: bytes) -> None:
    while body:
        body = body[os.write(handle, body) :]


def stamp(path: str) -> tuple[int, ...] | None:
    """Return what is another once a file was written; none without one."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns
