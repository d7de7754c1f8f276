"""A virtual machine that stays up and moves from node to node alive.

The hypervisors are QEMU's own: the one at the destination waits for the
guest with the same devices on a tap of the same name, the one at the source
sends it memory and all, and ends.  Then the destination's lets the guest run
and announces it to the network.
"""

import json
import re
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flatnet.lab.namespaces import LabError
from flatnet.lab.qemu import BOOT_SECONDS, QemuGuest

_STEP = 0.05
# What the guest says when it has done what it was told, and when it can be
# told something (`image`).
_DONE = re.compile(r"^@done: (\d+)\s*$", re.MULTILINE)
_UP = "@up: yes"


class MovingGuest(QemuGuest):
    """One of the places of a guest: where it boots, or where it arrives."""

    def start(
        self, *, ping: Sequence[str] = (), resolve: Sequence[str] = ()
    ) -> None:
        """Start the guest; it looks around, and stays.

        :param ping: addresses, as `QemuGuest.start` takes them
        :param resolve: names, as well
        """
        self._run(f"{self._line(ping, resolve)} flatnet.stay=yes", *self._ways)

    def wait_up(self, *, seconds: float = BOOT_SECONDS) -> None:
        """Wait until the guest has a lease, and can be told things."""
        self._wait(lambda: _UP in self.console(), "is up", seconds)

    @property
    def arrival(self) -> Path:
        """The socket that a guest comes by."""
        return self._way("arrival")

    def expect(self) -> None:
        """Wait at the destination for a guest that comes."""
        self._run("", "-incoming", f"unix:{self.arrival}", *self._ways)
        self._wait(self.arrival.exists, "can come", BOOT_SECONDS)

    def move_to(
        self, other: "MovingGuest", *, seconds: float = BOOT_SECONDS
    ) -> None:
        """Move the guest, which goes on at `other`; this place ends.

        :raises LabError: it did not arrive
        """
        self._monitor("migrate", uri=f"unix:{other.arrival}")
        self._wait(
            lambda: self._monitor("query-migrate")["status"] == "completed",
            "has left",
            seconds,
        )
        self.kill()
        other.wait_running(seconds=seconds)

    def wait_running(self, *, seconds: float = BOOT_SECONDS) -> None:
        """Wait until the guest runs here."""
        self._wait(
            lambda: bool(self._monitor("query-status")["running"]),
            "runs",
            seconds,
        )

    def tell(self, command: str, *, seconds: float = 10.0) -> str:
        """Have the guest's shell do something; return what it printed.

        :raises LabError: it failed, or did not end in time
        """
        heard = ""
        with socket.socket(socket.AF_UNIX) as console:
            console.connect(str(self._way("serial")))
            console.settimeout(seconds)
            console.sendall(f"{command}\n".encode())
            while not (done := _DONE.search(heard)):
                try:
                    heard += console.recv(4096).decode(errors="replace")
                except TimeoutError as error:
                    text = f"{command!r} goes on:\n{heard}"
                    raise LabError(text) from error
        if done[1] != "0":
            raise LabError(f"{command!r} failed:\n{heard}")
        return heard[: done.start()]

    def console(self) -> str:
        """All that the guest has said here so far."""
        if not self._console.exists():
            return ""
        return self._console.read_text(errors="replace")

    @property
    def _ways(self) -> tuple[str, ...]:
        """Arguments for a console and a monitor that can be spoken to."""
        self._directory.mkdir(parents=True, exist_ok=True)
        return (
            "-chardev",
            f"socket,id=console,path={self._way('serial')},server=on,wait=off,"
            f"logfile={self._console}",
            *("-serial", "chardev:console"),
            *("-qmp", f"unix:{self._way('monitor')},server=on,wait=off"),
        )

    def _way(self, name: str) -> Path:
        """The path of a socket of ours."""
        return self._directory / f"{self._tap}.{name}"

    def _monitor(self, command: str, **arguments: str) -> Any:
        """Ask QEMU something, and return what it answers."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(BOOT_SECONDS)
            monitor.connect(str(self._way("monitor")))
            with monitor.makefile("rw") as stream:
                stream.readline()
                _asked(stream, "qmp_capabilities", {})
                return _asked(stream, command, arguments)

    def _wait(
        self, look: Callable[[], bool], what: str, seconds: float
    ) -> None:
        """Wait for something that QEMU or the guest does."""
        deadline = time.monotonic() + seconds
        while not look():
            if time.monotonic() > deadline:
                last = "\n".join(self.console().splitlines()[-25:])
                raise LabError(f"no guest on {self._tap} {what}:\n{last}")
            time.sleep(_STEP)


def _asked(stream: Any, command: str, arguments: dict[str, str]) -> Any:
    """Ask a monitor; events are no answers."""
    json.dump({"execute": command, "arguments": arguments}, stream)
    stream.write("\n")
    stream.flush()
    while line := stream.readline():
        answer = json.loads(line)
        if "error" in answer:
            raise LabError(f"QEMU {command}: {answer['error']['desc']}")
        if "return" in answer:
            return answer["return"]
    raise LabError("QEMU has ended")
