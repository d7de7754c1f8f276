"""Network namespaces: making them, running in them, getting rid of them.

Every device is made inside a namespace, never in the machine's own, and
everything that is killed is killed because the kernel says that it runs in
a namespace of ours.
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from flatnet.exceptions import FlatnetError

COMMAND_SECONDS = 60.0
_END_SECONDS = 10.0
_POLL_SECONDS = 0.05
_NAMESPACES = Path("/run/netns")


class LabError(FlatnetError):
    """Something in the lab did not do what it was told."""


def run(
    command: Sequence[str],
    *,
    text: str = "",
    timeout: float = COMMAND_SECONDS,
) -> str:
    """Run a command with `text` as its input; return what it printed.

    :raises LabError: it failed or took longer than `timeout` seconds
    """
    done = attempt(command, text=text, timeout=timeout)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise LabError(
            f"{' '.join(command)}: exit status {done.returncode}: {said}"
        )
    return done.stdout


def attempt(
    command: Sequence[str],
    *,
    text: str = "",
    timeout: float = COMMAND_SECONDS,
) -> subprocess.CompletedProcess[str]:
    """Run a command whose failure is an answer.

    :raises LabError: there is no such program, or it took too long
    """
    try:
        return subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(
            f"{' '.join(command)}: no end after {timeout:.0f} s"
        ) from error


def inside(namespace: str, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` in a namespace."""
    return ["ip", "netns", "exec", namespace, *command]


def names(prefix: str) -> list[str]:
    """The namespaces whose names begin so, sorted."""
    if not _NAMESPACES.is_dir():
        return []
    return sorted(
        path.name
        for path in _NAMESPACES.iterdir()
        if path.name.startswith(prefix)
    )


def add(namespace: str) -> None:
    """Make a namespace with the loopback up."""
    run(["ip", "netns", "add", namespace])
    configure(namespace, "link set lo up")


def configure(namespace: str, *lines: str) -> None:
    """Run lines of `ip` in one go, the first failure ending it."""
    text = "".join(f"{line}\n" for line in lines)
    run(["ip", "-n", namespace, "-batch", "-"], text=text)


def set_sysctls(namespace: str, values: Mapping[str, str]) -> None:
    """Set sysctls by their paths below /proc/sys.

    Those that do not exist are left alone: their module may not be loaded.
    """
    script = "".join(
        f"[ ! -e /proc/sys/{name} ] || echo {value} > /proc/sys/{name}\n"
        for name, value in values.items()
    )
    run(inside(namespace, ["sh", "-e"]), text=script)


def pids(namespace: str) -> list[int]:
    """The processes in a namespace, which may end at any time."""
    done = attempt(["ip", "netns", "pids", namespace])
    return [int(word) for word in done.stdout.split()]


def remove(namespace: str) -> None:
    """Kill what runs in a namespace and delete it with its devices."""
    kill(namespace)
    run(["ip", "netns", "delete", namespace])


def kill(namespace: str) -> None:
    """Kill what runs in a namespace, and return when it has ended."""
    deadline = time.monotonic() + _END_SECONDS
    while found := pids(namespace):
        # Again and again: one may have forked while we looked.
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise LabError(f"{namespace}: {found} cannot be killed")
        time.sleep(_POLL_SECONDS)


def remove_all(prefix: str) -> list[Exception]:
    """Remove all namespaces whose names begin so; return what failed."""
    errors: list[Exception] = []
    for namespace in names(prefix):
        try:
            remove(namespace)
        except LabError as error:
            errors.append(error)
    return errors
