"""One TLS context for all connections of an engine that are alike.

A context reads every certificate that the system trusts, which is most of
the cost of a connection, and PyMySQL makes one for each.
"""

import os
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Any

# Options of PyMySQL that name a file.
_FILES = ("ca", "cert", "key")


class SharedContext:
    """The context that was made last, as long as it would be the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made_of: object = None
        self._context: ssl.SSLContext | None = None

    def get(
        self,
        options: Mapping[str, Any],
        make: Callable[[], ssl.SSLContext],
    ) -> ssl.SSLContext:
        """Return a context for PyMySQL's options, made anew if need be.

        Certificates are renewed while a daemon runs: a file that is another
        one by now makes another context.
        """
        wanted = _identity(options)
        with self._lock:
            if self._context is None or wanted != self._made_of:
                self._context = make()
                self._made_of = wanted
            return self._context


def _identity(options: Mapping[str, Any]) -> object:
    named = [options.get(each) for each in _FILES]
    files = [*named, ssl.get_default_verify_paths().cafile]
    return sorted(options.items()), [_version(file) for file in files]


def _version(file: str | None) -> tuple[int, ...] | None:
    """What changes with the contents of a file; none where there is none."""
    if not file:
        return None
    try:
        found = os.stat(file)
    except OSError:
        # PyMySQL says what is wrong with it.
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
