"""Who wrote files, and whose programs ended, as events: inotify.

Also of the kernel's settings, which are files of /proc: whoever writes one
there is told of.  The kernel tells of directories' files what was closed
after writing, removed, moved, or given other permissions.  The file of a
program is open for as long as that runs.

Given up: what is written by another mount of /proc, as from a container with
pids of its own, and by who has a file open still; a setting that was taken
out of the kernel's memory since, until it is watched anew; and all of it
where the kernel has no more watches to give.  So each look at what is watched
goes on, only less often.
"""

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterator

# From linux/inotify.h: attributes, closed after writing, moved away or to,
# removed, itself removed or moved.
_KINDS = 0x4 | 0x8 | 0x40 | 0x80 | 0x200 | 0x400 | 0x800
# Closed by who did not write it.
_ENDED = 0x10
_LOST, _FORGOTTEN = 0x4000, 0x8000
_EVENT = struct.Struct("=iIII")
_AT_ONCE = 1 << 16
_LIBC = ctypes.CDLL(None)


class FileEvents:
    """What one process hears of files, as long as it lives."""

    def __init__(self) -> None:
        # Negative where there is none to be had.
        self._handle = int(_LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._paths: dict[int, str] = {}
        self._numbers: dict[str, int] = {}

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What becomes readable when something happens; one, or none."""
        return (self._handle,) if self._handle >= 0 else ()

    def watch(self, path: str) -> None:
        """Hear of a file, or of those in a directory, as it is there now."""
        self._watch(path, _KINDS)

    def watch_runs(self, program: str) -> None:
        """Hear of each end of a program that was started from this file."""
        self._watch(program, _ENDED)

    def _watch(self, path: str, kinds: int) -> None:
        found = int(
            _LIBC.inotify_add_watch(self._handle, os.fsencode(path), kinds)
        )
        before = self._numbers.get(path, found)
        if before != found:
            self.forget(path)
        if found >= 0:
            self._paths[found], self._numbers[path] = path, found

    def forget(self, path: str) -> None:
        """Hear of it no more."""
        number = self._numbers.pop(path, None)
        if number is not None:
            del self._paths[number]
            _LIBC.inotify_rm_watch(self._handle, number)

    def written(self) -> frozenset[str]:
        """Return what was written, or has ended, since the last call.

        Where events were lost that is all.
        """
        found: set[str] = set()
        for number, kinds in self._events():
            if kinds & _LOST:
                found.update(self._numbers)
            elif number in self._paths and not kinds & _FORGOTTEN:
                found.add(self._paths[number])
        return frozenset(found)

    def _events(self) -> Iterator[tuple[int, int]]:
        """Yield (watch, kinds) of what waits."""
        with contextlib.suppress(BlockingIOError):
            while self._handle >= 0:
                data = os.read(self._handle, _AT_ONCE)
                place = 0
                while place < len(data):
                    number, kinds, _, size = _EVENT.unpack_from(data, place)
                    yield number, kinds
                    place += _EVENT.size + size
