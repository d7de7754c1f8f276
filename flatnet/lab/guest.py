"""A guest that is a network namespace, with a real DHCP client.

It takes the free end of the veth pair that flatnet made for its interface,
as a container would.  Its DHCP client is busybox udhcpc; what it was given
is applied to the guest alone and kept in the lab's directory.  The
machine's own resolv.conf is never touched.
"""

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from flatnet.lab import namespaces
from flatnet.lab.lease import CLIENT_OPTIONS, SCRIPT, Lease, lease_of
from flatnet.lab.namespaces import LabError
from flatnet.lab.spec import LabSpec

DEVICE = "eth0"
_SECONDS = 15.0
# Device names have at most 15 characters: 3 of the prefix, 11 of the uuid.
_UUID_CHARACTERS = 11


class LabGuest:
    """A guest on a veth port; it lives until the lab goes down."""

    def __init__(
        self, lab: LabSpec, hostname: str, *, node_namespace: str
    ) -> None:
        self.hostname = hostname
        self.namespace = lab.namespace(hostname)
        self._files = lab.directory / "guests" / hostname
        self._node_namespace = node_namespace

    def plug(self, vif_uuid: str) -> None:
        """Take the free end of a port as our eth0.

        :raises LabError: the node has no such device
        """
        self._files.mkdir(parents=True, exist_ok=True)
        namespaces.add(self.namespace)
        peer = f"vif{vif_uuid[:_UUID_CHARACTERS]}"
        namespaces.configure(
            self._node_namespace,
            f"link set {peer} netns {self.namespace} name {DEVICE}",
        )
        namespaces.configure(self.namespace, f"link set {DEVICE} up")

    def remove(self) -> None:
        """End all that runs in the guest, and take its devices away."""
        namespaces.remove(self.namespace)

    def dhcp(self) -> Lease:
        """Ask for a lease and apply it.

        :raises LabError: nobody answered in some seconds
        """
        lease = self._files / "lease"
        lease.unlink(missing_ok=True)
        script = self._files / "udhcpc"
        script.write_text(SCRIPT)
        script.chmod(0o755)
        done = self._attempt(
            [
                *["env", f"FILES={self._files}", "busybox", "udhcpc"],
                *["-f", "-n", "-q", "-i", DEVICE, "-t", "5", "-T", "1"],
                *["-s", str(script), *CLIENT_OPTIONS],
            ]
        )
        if done.returncode or not lease.exists():
            said = (done.stdout + done.stderr).strip().splitlines()
            raise LabError(
                f"{self.hostname}: no lease: {' / '.join(said[-3:])}"
            )
        return lease_of(lease.read_text())

    def routes(self) -> str:
        """The routing table as `route -n` prints it."""
        return self.run(["busybox", "route", "-n"])

    def gateway(self) -> str:
        """The default gateway in the guest's routing table; empty: none."""
        for line in self.routes().splitlines():
            words = line.split()
            if words[0] == "0.0.0.0":
                return words[1]
        return ""

    def ping(self, address: str, *, count: int = 1) -> bool:
        """Whether one of `count` echo requests is answered in time."""
        done = self._attempt(
            ["busybox", "ping", "-c", str(count), "-W", "2", address]
        )
        return done.returncode == 0

    def resolve(self, name: str) -> str:
        """What the guest's name server says of a name; empty: nothing."""
        done = self.attempt(["busybox", "nslookup", name])
        addresses = [
            line.split()[1]
            for line in done.stdout.splitlines()
            if line.startswith("Address:")
        ]
        # The first is the server's own.
        return addresses[1] if len(addresses) > 1 else ""

    def run(self, command: Sequence[str]) -> str:
        """Run a command in the guest, with the guest's resolv.conf.

        :raises LabError: it failed
        """
        return namespaces.run(self._argv(command))

    def attempt(
        self, command: Sequence[str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the guest whose failure is an answer."""
        return namespaces.attempt(self._argv(command))

    def _attempt(
        self, command: Sequence[str]
    ) -> subprocess.CompletedProcess[str]:
        return namespaces.attempt(
            namespaces.inside(self.namespace, command), timeout=_SECONDS
        )

    def _argv(self, command: Sequence[str]) -> list[str]:
        """`command` with our resolv.conf in place of the machine's.

        `ip netns exec` gives it a mount namespace of its own, which ends
        with it.
        """
        resolv = self._files / "resolv.conf"
        if not resolv.exists():
            return namespaces.inside(self.namespace, command)
        target = Path("/etc/resolv.conf").resolve()
        mount = f"mount --bind {shlex.quote(str(resolv))} {target}"
        words = ["sh", "-ec", f'{mount}; exec "$@"', "sh", *command]
        return namespaces.inside(self.namespace, words)
