"""Standard error that never holds up who writes to it.

Who reads ours may stop (a stopped journald, a terminal at Ctrl-S): after
64 KiB a write waits, and with it the pass or the call that had something to
say.  So a thread writes, and what it cannot write is kept up to a limit, then
dropped and counted.  That the descriptor itself be non-blocking will not do:
it is shared with others, who do not expect it.

The thread is one of the system in any case, also where threads are green; so
what it works with is what there was before any patching.
"""

import _thread
import atexit
import io
import os
import sys
import time
from queue import SimpleQueue

_write, _sleep = os.write, time.sleep
_new_lock, _new_thread = _thread.allocate_lock, _thread.start_new_thread
# Pieces that wait to be written, most of them lines.
MOST = 4096
# Seconds that the end waits for what is not written yet.
LAST_WORDS = 1.0
_PAUSE = 0.05
_Waiting = SimpleQueue[str | _thread.LockType]


class Stderr(io.TextIOBase):
    """A text stream to a descriptor; it writes itself until it is started."""

    def __init__(self, descriptor: int = 2, *, most: int = MOST) -> None:
        """`most` pieces may wait."""
        self._descriptor = descriptor
        self._most = most
        self._waiting: _Waiting | None = None
        self._counting = _new_lock()
        self._lost = 0

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """What text becomes on the way."""
        return "utf-8"

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it leads to a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Return true."""
        return True

    def write(self, text: str) -> int:
        """Write, or leave it to the thread; what is too much is dropped."""
        waiting = self._waiting
        if waiting is None:
            self._emit(text)
        elif waiting.qsize() < self._most:
            waiting.put(text)
        else:
            with self._counting:
                self._lost += text.count("\n")
        return len(text)

    def start(self) -> None:
        """Leave all writing to a thread from now on; after a fork, again.

        To be called before threads become green, and after privilege went:
        a thread keeps what it was started with.
        """
        self._waiting = SimpleQueue()
        # The parent's thread may have held it at the fork.
        self._counting = _new_lock()
        self._lost = 0
        _new_thread(self._work, (self._waiting,))

    def drain(self, seconds: float = LAST_WORDS) -> None:
        """Wait until all is written, or for so long."""
        waiting = self._waiting
        if waiting is None:
            return
        written = _new_lock()
        written.acquire()
        waiting.put(written)
        if written.acquire(timeout=seconds):
            self._waiting = None

    def _work(self, waiting: _Waiting) -> None:
        while True:
            piece = waiting.get()
            if isinstance(piece, str):
                self._emit(piece)
            if waiting.empty():
                self._tell()
            if not isinstance(piece, str):
                piece.release()

    def _tell(self) -> None:
        with self._counting:
            lost, self._lost = self._lost, 0
        if lost:
            self._emit(
                f"flatnet: {lost} lines of the log are lost: nobody read "
                "standard error\n"
            )

    def _emit(self, text: str) -> None:
        data = text.encode(self.encoding, "backslashreplace")
        while data:
            try:
                data = data[_write(self._descriptor, data) :]
            except BlockingIOError:
                # Somebody who shares the descriptor made it so.
                _sleep(_PAUSE)
            except OSError:
                # Nobody is there to read it, nor to be told.
                return


def take_over() -> Stderr:
    """Put one in the place of `sys.stderr`; at the end it is drained."""
    stream = Stderr()
    sys.stderr = stream
    atexit.register(stream.drain)
    return stream
