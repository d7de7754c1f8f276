"""Run a command of the system, in one language and bounded in time.

It does not outlive us: killed with everything that could end it, we would
leave a step that undoes what our successor has done since.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from flatnet.exceptions import HostSetupError

SECONDS = 60
# linux/prctl.h
_PR_SET_PDEATHSIG = 1
# A daemon's own PATH may well lack the sbin directories.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PACKAGES = {
    "dhcp_release": "dnsmasq-utils",
    "dnsmasq": "dnsmasq-base",
    "nft": "nftables",
}


@dataclass(frozen=True)
class Outcome:
    """How a command ended; `error` is its stderr as one line."""

    status: int
    output: str
    error: str
    pid: int


def run(*argv: str, text: str = "") -> Outcome:
    """Run a command to its end; `text` is its stdin.

    :raises HostSetupError: it is not installed, or does not end
    """
    try:
        started = subprocess.Popen(
            argv,
            preexec_fn=_bound_to(os.getpid()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": _PATH, "LC_ALL": "C"},
        )
    except FileNotFoundError as error:
        package = _PACKAGES.get(argv[0], "iptables")
        raise HostSetupError(
            f"{package} is not installed: apt-get install {package}"
        ) from error
    with started:
        try:
            output, errors = started.communicate(text, timeout=SECONDS)
        except BaseException as error:
            started.kill()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise HostSetupError(
                f"{argv[0]} did not end within {SECONDS} s"
            ) from error
    pid = started.pid
    return Outcome(started.returncode, output, _one_line(errors), pid)


def _bound_to(parent: int) -> Callable[[], None]:
    """Return what makes a fork of ours be killed when `parent` dies.

    What puts itself into the background, as dnsmasq does by another fork, is
    free of it.
    """
    # Loaded before the fork, which only calls it.
    library = ctypes.CDLL(None)

    def bind() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return bind


def resolved(name: str) -> str:
    """The file that a command's name leads to, or nothing."""
    for directory in _PATH.split(":"):
        path = os.path.join(directory, name)
        with contextlib.suppress(OSError):
            if os.access(path, os.X_OK):
                found = os.stat(path)
                return _real_path(path, found.st_dev, found.st_ino)
    return ""


@lru_cache(64)
def _real_path(path: str, _device: int, _inode: int) -> str:
    """Where links lead, as long as it is that file that they lead to."""
    return os.path.realpath(path)


def _one_line(text: str) -> str:
    """What went wrong, without the hint where to read on."""
    lines = (line.strip() for line in text.splitlines())
    return "; ".join(
        line for line in lines if line and not line.startswith("Try `")
    )
