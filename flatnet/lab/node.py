"""A compute node: a namespace with three devices, and the daemon in it."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from flatnet.lab import namespaces
from flatnet.lab.namespaces import LabError
from flatnet.lab.readable import program_trees, readable
from flatnet.lab.server_process import LabProcess
from flatnet.lab.spec import NodeSpec, node_conf_text

DAEMON = "flatnet-manager"
READY_SECONDS = 60.0
# sockaddr_un.sun_path with its ending zero
_LONGEST_SOCKET_PATH = 107
# What the daemon says once it can be asked; READY=1 comes before.
_SERVING = "STATUS=serving "


def program(name: str) -> str:
    """Path of an installed program that belongs to this Python.

    :raises LabError: it is not installed there
    """
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise LabError(
            f"{path} is missing; install flatnet: {sys.executable} -m pip "
            "install ."
        )
    return str(path)


class Node:
    """One compute node, and at most one daemon that it runs."""

    def __init__(self, spec: NodeSpec) -> None:
        self.spec = spec
        self._daemon: LabProcess | None = None
        self._socket: socket.socket | None = None
        self._notified: list[str] = []

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def namespace(self) -> str:
        return self.spec.namespace

    def run(self, command: Sequence[str] | str, *, text: str = "") -> str:
        """Run a command on the node; a text is split at its blanks.

        :raises LabError: it failed
        """
        words = command.split() if isinstance(command, str) else command
        return namespaces.run(
            namespaces.inside(self.namespace, words), text=text
        )

    def attempt(
        self, command: Sequence[str] | str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the node whose failure is an answer."""
        words = command.split() if isinstance(command, str) else command
        return namespaces.attempt(namespaces.inside(self.namespace, words))

    def write_files(self, *, broker_url: str) -> None:
        """Write the daemon's configuration, and make its directories."""
        self.spec.conf.write_text(
            node_conf_text(self.spec, broker_url=broker_url)
        )
        self.spec.networks_path.mkdir(exist_ok=True)
        self.spec.directory.mkdir(exist_ok=True)
        give_to(self.spec.directory, self.spec.lab.manager_user)

    def start_daemon(self) -> None:
        """Start the daemon, and return when it serves.

        :raises ServerError: it ended, or was not ready in a minute; with
            the last lines of its log
        """
        self.begin_daemon()
        self.await_daemon()

    def begin_daemon(self) -> None:
        """Start the daemon without waiting for it."""
        if self.daemon_runs:
            raise LabError(f"{self.name}: the daemon runs already")
        self._close_socket()
        self._socket = self._notify_socket()
        self._notified = []
        self._daemon = LabProcess(
            readable(
                [program(DAEMON), "--config-file", str(self.spec.conf)],
                program_trees(),
            ),
            log=self.spec.log,
            namespace=self.namespace,
            environment={
                **os.environ,
                "NOTIFY_SOCKET": self._notify_path,
            },
        )

    def await_daemon(self, *, seconds: float = READY_SECONDS) -> None:
        """Return when the daemon that was begun answers who asks."""
        if self._daemon is None:
            raise LabError(f"{self.name}: no daemon was started")
        self._daemon.wait_until(self._is_ready, seconds=seconds)

    def stop_daemon(self) -> None:
        """End the daemon in order; what it made on the node stays."""
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            daemon.stop()
        self._close_socket()

    def kill_daemon(self) -> None:
        """End the daemon as a crash would."""
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            daemon.kill()
        self._close_socket()

    @property
    def daemon_runs(self) -> bool:
        return self._daemon is not None and self._daemon.runs

    @property
    def daemon_pid(self) -> int:
        """The pid of the daemon's unprivileged process."""
        if self._daemon is None:
            raise LabError(f"{self.name}: no daemon was started")
        return self._daemon.pid

    @property
    def notified(self) -> tuple[str, ...]:
        """What the daemon has told its service manager, line by line."""
        with contextlib.suppress(BlockingIOError):
            while self._socket is not None:
                text = self._socket.recv(4096).decode(errors="replace")
                self._notified += text.splitlines()
        return tuple(self._notified)

    @property
    def log_text(self) -> str:
        """All that the daemon has logged, over all its runs."""
        if not self.spec.log.exists():
            return ""
        return self.spec.log.read_text(errors="replace")

    def hosts_text(self, bridge: str = "br100") -> str:
        """The file that tells this node's dnsmasq of its guests."""
        path = self.spec.networks_path / f"flatnet-{bridge}.hosts"
        return path.read_text() if path.exists() else ""

    def describe(self) -> str:
        """All that one wants to know of this node when a test fails."""
        parts = [f"===== {self.name}"]
        for command in (
            "ip -br addr",
            "ip route",
            "bridge link",
            "iptables-save -c",
            "nft list ruleset",
        ):
            done = self.attempt(command)
            parts += [f"--- {command}", (done.stdout + done.stderr).rstrip()]
        parts += ["--- hosts file", self.hosts_text().rstrip()]
        parts += ["--- log", "\n".join(self.log_text.splitlines()[-60:])]
        return "\n".join(parts)

    @property
    def _notify_path(self) -> str:
        return str(self.spec.directory / "notify")

    def _notify_socket(self) -> socket.socket:
        """The socket that takes systemd's place."""
        if len(self._notify_path) > _LONGEST_SOCKET_PATH:
            raise LabError(f"{self._notify_path} is too long for a socket")
        Path(self._notify_path).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.settimeout(0)
        listener.bind(self._notify_path)
        give_to(Path(self._notify_path), self.spec.lab.manager_user)
        return listener

    def _is_ready(self) -> bool:
        return any(line.startswith(_SERVING) for line in self.notified)

    def _close_socket(self) -> None:
        listener, self._socket = self._socket, None
        if listener is not None:
            listener.close()


def give_to(path: Path, user: str) -> None:
    """Let the user that the daemon becomes own a file."""
    entry = pwd.getpwnam(user)
    shutil.chown(path, entry.pw_uid, entry.pw_gid)
