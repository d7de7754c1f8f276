"""Guests that hold ports of this host, as hypervisors and containers do."""

import fcntl
import os
import secrets
import struct
import subprocess
from contextlib import ExitStack, suppress

_SET_IFF = 0x400454CA
_TAP = 0x0002 | 0x1000


class Plugs:
    """The ports that somebody holds, by name, each with how that ends."""

    def __init__(self):
        self.held = {}

    def plug_any(self, links, chance):
        """Start a guest on one of the ports of ours among `links`."""
        ports = [n for n in sorted(links) if n.startswith("tap")]
        self._start(ports, chance)

    def unplug_any(self, chance):
        """End one of the guests, whatever became of its port."""
        if self.held:
            self.held.pop(chance.choice(sorted(self.held))).close()

    def close(self):
        """End all of them."""
        while self.held:
            self.held.popitem()[1].close()

    def _start(self, ports, chance):
        free = [name for name in ports if name not in self.held]
        if free:
            name = chance.choice(free)
            with ExitStack() as guest:
                self._plug(guest, name)
                self.held[name] = guest.pop_all()

    def _plug(self, guest, name):
        peer = "vif" + name.removeprefix("tap")
        if _tried(f"ip link show {peer}"):
            _move_in(guest, peer)
        else:
            _open(guest, name)


class Made(Plugs):
    """The ports that hypervisors make themselves, for those of a cloud."""

    def __init__(self, cloud):
        super().__init__()
        self._cloud = cloud

    def plug_any(self, links, chance):
        """Start a guest on one of the interfaces of this host."""
        self._start(sorted(self._cloud.ports()), chance)

    def _plug(self, guest, name):
        _open(guest, name)
        bridge = self._cloud.ports()[name]
        _tried(f"ip link set {name} master {bridge} up")


def _open(guest, name):
    """Open a tap, and make it where it is not there."""
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    guest.callback(os.close, handle)
    request = struct.pack("16sH22x", name.encode(), _TAP)
    with suppress(OSError):
        fcntl.ioctl(handle, _SET_IFF, request)


def _move_in(guest, peer):
    """Take the end of a pair into a namespace, and later back again."""
    name = f"fnt-{secrets.token_hex(4)}"
    _tried(f"ip netns add {name}")
    guest.callback(_tried, f"ip netns delete {name}")
    _tried(f"ip link set {peer} netns {name}")
    back = f"ip -n {name} link set {peer} down netns {os.getpid()}"
    guest.callback(_tried, back)
    _tried(f"ip -n {name} link set {peer} up")


def _tried(command):
    """Whether a command succeeds."""
    done = subprocess.run(command.split(), capture_output=True, check=False)
    return done.returncode == 0
