"""Signals end a lab in order, and never half-way through its end."""

import contextlib
import signal
import threading
from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def ends_in_order() -> None:
    """Make the signals that end a process raise KeyboardInterrupt."""
    for number in _SIGNALS:
        signal.signal(number, signal.default_int_handler)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let no signal stop us half-way, as far as this thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [signal.signal(number, signal.SIG_IGN) for number in _SIGNALS]
    try:
        yield
    finally:
        for number, action in zip(_SIGNALS, before, strict=True):
            signal.signal(number, action)
