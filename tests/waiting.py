"""Waiting for what comes by itself."""

import time


def eventually(look, told="it never came", *, seconds=10):
    """Wait until `look` is true; after so many seconds say what was `told`."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, told
        time.sleep(0.01)
