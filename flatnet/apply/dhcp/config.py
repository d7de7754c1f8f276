"""The admin's own file for dnsmasq: checked first, and applied when edited.

dnsmasq reads it when it starts and never again, so that an edit would show,
and a slip of the pen end the service of all guests, at the next accident.

Each server is given a copy whose name follows from the text.  An edited file
is another command line, and that another server starts follows as from any
other change.  A copy is there only once `dnsmasq --test` took it together
with all that we say ourselves; until then the last one stays in force, also
for a server that has to be started again.  What only the start itself shows
(a user that does not exist) is noted, and not tried again before the file
was written again.

Given up: an edit of what the file itself names (`conf-dir=`, `addn-hosts=`)
is not seen, and whether that says what only we may say.
"""

import contextlib
import hashlib
import os
from pathlib import Path

from flatnet.apply import files
from flatnet.apply.command import run
from flatnet.apply.dhcp import dnsmasq
from flatnet.exceptions import HostSetupError
from flatnet.state.plan import DhcpServer

PREFIX = "conf-"
REFUSED = "refused"
_OPTION = "--conf-file="
_OURS = frozenset(
    {
        *("keep-in-foreground", "no-daemon", "pid-file", "bind-interfaces"),
        *("dhcp-leasefile", "leasefile-ro"),
    }
)
# It may hold what others must not read; dnsmasq starts as root.
_MODE = 0o600


def copy(server: DhcpServer, *, networks_path: str, config_file: str) -> str:
    """Return the path of a copy of `config_file` that dnsmasq takes.

    Empty if there is no such file to be used.

    :raises HostSetupError: a line that says why it cannot be used
    """
    if not config_file:
        return ""
    try:
        text = Path(config_file).read_text("utf-8", errors="replace")
        _check_ours(text)
        path = _path(server, networks_path, _kind(text))
        if not files.holds(path, text, mode=_MODE):
            _check_not_refused(server, networks_path, config_file)
            _make(server, networks_path, path, text=text)
    except (OSError, HostSetupError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise HostSetupError(_unused(config_file, reason)) from error
    return path


def earlier(
    server: DhcpServer, *, networks_path: str, running: tuple[str, ...]
) -> str:
    """Return the path of what was in force last, or nothing.

    :param running: the command line of the server that runs, or empty
    """
    # The first such argument; what follows is our own.
    given = [each for each in running if each.startswith(_OPTION)][:1]
    for path in (each.removeprefix(_OPTION) for each in given):
        if os.path.exists(path):
            return path
    beginning = os.path.basename(_path(server, networks_path, PREFIX))
    copies = [
        f"{networks_path}/{name}"
        for name in os.listdir(networks_path)
        if name.startswith(beginning)
    ]
    return max(copies, key=os.path.getmtime, default="")


def refuse(
    server: DhcpServer, *, networks_path: str, config_file: str, reason: str
) -> str:
    """Note that dnsmasq does not start with the file as it is; say so."""
    text = f"{_identity(config_file)} {reason}"
    files.replace(_path(server, networks_path, REFUSED), text, mode=_MODE)
    return _unused(config_file, reason)


def _unused(config_file: str, reason: str) -> str:
    return f"dnsmasq_config_file {config_file} is not used: {reason}"


def _check_ours(text: str) -> None:
    """Check that nothing is said of what we rest on ourselves.

    dnsmasq would take it, and be started again by each pass, or not come back
    from its start.
    """
    for number, line in enumerate(text.splitlines(), 1):
        name = line.partition("=")[0].partition("#")[0].strip()
        if name in _OURS:
            raise HostSetupError(
                f"line {number}: {name} is flatnet's own to say; remove it"
            )


def _check_not_refused(
    server: DhcpServer, networks_path: str, config_file: str
) -> None:
    noted = files.read(_path(server, networks_path, REFUSED))
    identity, _, reason = noted.partition(" ")
    if identity == _identity(config_file):
        raise HostSetupError(reason)


def _make(
    server: DhcpServer, networks_path: str, path: str, *, text: str
) -> None:
    """Make the copy, if dnsmasq takes it."""
    candidate = f"{networks_path}/.{os.path.basename(path)}"
    files.replace(candidate, text, mode=_MODE)
    try:
        line = dnsmasq.arguments(
            server, networks_path=networks_path, config_file=candidate
        )
        done = run(line[0], "--test", *line[1:])
        if done.status:
            raise HostSetupError(done.error.replace(f" of {candidate}", ""))
        os.rename(candidate, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(candidate)


def _path(server: DhcpServer, networks_path: str, kind: str) -> str:
    return dnsmasq.path(networks_path, server.bridge, kind)


def _kind(text: str) -> str:
    return PREFIX + hashlib.sha256(text.encode()).hexdigest()[:16]


def _identity(config_file: str) -> str:
    """What writing the file again changes."""
    found = os.stat(config_file)
    return f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"
