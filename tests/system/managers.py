"""A node's own network managers: the real programs, with a bus of theirs.

They live in the node's network namespace and in namespaces of mounts and of
the host's name that end with them: what they write, the name that they may
set, and the bus that they talk by, nobody else has.
"""

import subprocess
from contextlib import contextmanager

from flatnet.lab.server_process import LabProcess
from tests.system.unpacked import unpacked

SECONDS = 30
# Where it is found in the bus's own namespaces alone, once they are made.
ADDRESS = "unix:path=/mnt/kept/bus"
PRIVATE = ("/run", "/var/lib", "/var/log", "/var/cache")
BUS = f"""
<busconfig>
  <type>system</type>
  <listen>{ADDRESS}</listen>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
  </policy>
</busconfig>
"""
LINES = (
    "mount -t tmpfs tmpfs /mnt",
    "mkdir /mnt/kept /mnt/managers /mnt/etc /mnt/work",
    "mount --bind {directory} /mnt/kept",
    "mount --bind {unpacked} /mnt/managers",
    "mount -t overlay overlay -o lowerdir=/mnt/managers/usr:/usr /usr",
    "mount -t overlay overlay -o lowerdir=/mnt/managers/lib:/usr/lib /usr/lib",
    "mount -t overlay overlay -o lowerdir=/mnt/managers/etc:/etc,"
    "upperdir=/mnt/etc,workdir=/mnt/work /etc",
    *(f"mount -t tmpfs tmpfs {each}" for each in PRIVATE),
    # So they do not wait for udev to name devices: it has no namespaces.
    "mount -o remount,bind,ro /sys",
    "[ ! -e /dev/rfkill ] || mount --bind /dev/null /dev/rfkill",
    "mkdir /run/dbus",
    "exec dbus-daemon --config-file=/mnt/kept/bus.conf --nofork --nopidfile",
)


class Managers:
    """What may manage a node; one at a time, or several."""

    def __init__(self, node, directory, bus):
        self._node = node
        self._directory = directory
        self._bus = bus

    def run(self, *words, text="", check=True):
        """Run a command beside them; return what it printed."""
        done = subprocess.run(
            [*self._inside(), *words],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        if check:
            assert done.returncode == 0, f"{words}: {done}"
        return done.stdout

    def write(self, path, text):
        """Write a file that only they see."""
        script = 'mkdir -p "$(dirname "$1")"; cat >"$1"'
        self.run("sh", "-ec", script, "sh", path, text=text)

    @contextmanager
    def running(self, *words, ready):
        """Run one of them; return when a command succeeds that is `ready`."""
        name = words[0].rpartition("/")[2]
        daemon = LabProcess(
            [*self._inside(), *words], log=self._directory / f"{name}.log"
        )
        try:
            daemon.wait_until(lambda: self._succeeds(*ready), seconds=SECONDS)
            yield daemon
        finally:
            daemon.stop()

    def _succeeds(self, *words):
        done = subprocess.run(
            [*self._inside(), *words],
            capture_output=True,
            check=False,
            timeout=SECONDS,
        )
        return done.returncode == 0

    def _inside(self):
        return ("nsenter", "-t", str(self._bus.pid), "-m", "-n", "-u", "--")


@contextmanager
def managers(node):
    """The place for a node's managers, with a bus that runs."""
    directory = node.spec.directory.parent / f"{node.name}-managers"
    directory.mkdir()
    (directory / "bus.conf").write_text(BUS)
    names = {"directory": directory, "unpacked": unpacked()}
    bus = LabProcess(
        ["unshare", "--uts", "sh", "-ec", "; ".join(LINES).format(**names)],
        log=directory / "bus.log",
        namespace=node.namespace,
    )
    here = Managers(node, directory, bus)
    ready = ("busctl", f"--address={ADDRESS}", "list")
    try:
        bus.wait_until(lambda: here._succeeds(*ready))
        yield here
    finally:
        bus.stop()
