"""Files that are replaced whole, or not at all."""

import contextlib
import os
import tempfile


def replace(path: str, text: str, *, mode: int = 0o644) -> bool:
    """Make a file hold `text`; return whether it had to be written.

    A reader sees the old text or the new, at any moment.
    """
    body = text.encode()
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as present:
        if present.read(len(body) + 1) == body:
            return False
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
    return True


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
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""
