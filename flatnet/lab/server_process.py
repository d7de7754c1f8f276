"""A real server as a child process that never outlives its parent.

The lab and the tests run brokers and databases of their own.  Whatever
happens to the parent, SIGKILL included, nothing of them may stay: the kernel
kills each child when the thread that started it ends.  So start a server
from a thread that lives at least as long as the server, best the main one.
"""

import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

READY_SECONDS = 60.0
STOP_SECONDS = 20.0
_POLL_SECONDS = 0.1
_TAIL_LINES = 25


class ServerError(Exception):
    """A server does not start; the text ends with the tail of its log."""


def free_ports(count: int, *, address: str = "127.0.0.1") -> tuple[int, ...]:
    """Ports that nobody listens on just now, all different.

    Raises ServerError where `address` is none of ours.
    """
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((address, 0))
        return tuple(each.getsockname()[1] for each in sockets)
    except OSError as error:
        raise ServerError(f"cannot listen on {address}: {error}") from error
    finally:
        for each in sockets:
            each.close()


def inside(namespace: str | None) -> list[str]:
    """The words before a command that runs it in a network namespace."""
    return ["ip", "netns", "exec", namespace] if namespace else []


def as_user(user: str | None) -> list[str]:
    """The words before a command that tie it to us and make it `user`.

    Servers that refuse root get one capability back: test directories lie
    under directories that only root may enter.
    """
    words = ["setpriv", "--pdeathsig", "KILL"]
    if user is None or os.geteuid() != 0:
        return [*words, "--"]
    entry = pwd.getpwnam(user)
    return [
        *words,
        f"--reuid={entry.pw_uid}",
        f"--regid={entry.pw_gid}",
        "--clear-groups",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
        "--",
    ]


class LabProcess:
    """One child process with its log file; started once, stopped once."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        namespace: str | None = None,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Start `command`; `environment` replaces ours."""
        self._log = log
        self._name = Path(command[0]).name
        self._stop_signal = stop_signal
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*inside(namespace), *as_user(user), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                env=environment,
                # Ctrl-C is for the parent, which stops us in order.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def wait_until(
        self, ready: Callable[[], bool], *, seconds: float = READY_SECONDS
    ) -> None:
        """Return when `ready()` holds.

        Raises ServerError if the process ends before or time runs out; the
        process is stopped then.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if self._process.poll() is not None:
                status = self._process.returncode
                self.stop()
                raise self._error(f"ended with status {status}")
            if time.monotonic() > deadline:
                self.stop()
                raise self._error(f"was not ready after {seconds:.0f} s")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End the process, in order if it can, and wait for its end."""
        if self._process.poll() is not None:
            return
        self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process as a crash would."""
        self._process.kill()
        self._process.wait()

    def _error(self, what: str) -> ServerError:
        return ServerError(f"{self._name} {what}\n{log_tail(self._log)}")


def log_tail(log: Path) -> str:
    """The last lines of a log file, with its name."""
    text = log.read_text(errors="replace") if log.exists() else ""
    lines = text.splitlines()[-_TAIL_LINES:]
    return "\n".join([f"{log}:", *(f"  {line}" for line in lines)])


# Sends the bytes after the address and port, prints what comes back.  As a
# program, because a namespace is entered by a process and not by us.
_PROBE = """
import socket, sys
address, port, greeting = sys.argv[1:]
with socket.create_connection((address, int(port)), timeout=5) as probe:
    probe.sendall(bytes.fromhex(greeting))
    sys.stdout.buffer.write(probe.recv(64))
"""


def answer(
    address: str, port: int, *, greeting: bytes = b"", namespace: str | None
) -> bytes:
    """First bytes that a server sends after `greeting`; empty if none."""
    done = subprocess.run(
        [
            *inside(namespace),
            *[sys.executable, "-I", "-S", "-c", _PROBE],
            *[address, str(port), greeting.hex()],
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=30,
    )
    return done.stdout if done.returncode == 0 else b""
