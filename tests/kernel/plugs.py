"""Guests that hold taps of this host, as hypervisors do."""

import fcntl
import os
import struct
from contextlib import suppress

_SET_IFF = 0x400454CA
_TAP = 0x0002 | 0x1000


class Plugs:
    """The taps that somebody here holds open, by name."""

    def __init__(self):
        self.held = {}

    def plug(self, name):
        """Start a guest, as far as its tap can be had."""
        handle = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        request = struct.pack("16sH22x", name.encode(), _TAP)
        try:
            fcntl.ioctl(handle, _SET_IFF, request)
        except OSError:
            os.close(handle)
            return
        self.held[name] = handle

    def unplug(self, name):
        """End a guest, whatever became of its tap."""
        with suppress(OSError):
            os.close(self.held.pop(name))

    def close(self):
        """End all of them."""
        for name in list(self.held):
            self.unplug(name)
