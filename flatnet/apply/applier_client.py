"""The daemon's end of the applier: start it, ask it, notice its death."""

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace

from flatnet.apply import channel
from flatnet.apply.channel import Reply, Request, Work
from flatnet.apply.events import Happened, Hearer
from flatnet.exceptions import ApplierUnavailable, HostSetupError
from flatnet.state.changes import Changes, FoundPort
from flatnet.state.parts import Parts, difference
from flatnet.state.plan import Uplink
from flatnet.state.taken_addresses import InUse

LOG = logging.getLogger(__name__)
# Seconds that an answer is waited for: far more than the largest host's first
# pass takes.
PATIENCE = 120.0


@dataclass(frozen=True)
class ApplierProcess:
    """A started applier: `lifeline` is held open as long as we live.

    `events` is read to hear what others did to the host.  `connection` is a
    descriptor of the first one, by which a worker is had that reads what is
    on the host while we import and look for our rows.
    """

    process: subprocess.Popen[bytes]
    address: str
    lifeline: int
    events: int
    connection: int | None = None


def start_applier(
    *,
    networks_path: str,
    dnsmasq_config_file: str,
    top_regex: str,
    bottom_regex: str = "",
) -> ApplierProcess:
    """Start the applier by exec, with the privilege that we still have.

    To be called before privilege goes and anything is monkey-patched.
    """
    # Never what lies in the directory that we were started in.
    command = [sys.executable, "-P", "-m", "flatnet.apply.process"]
    command += [
        f"--networks-path={networks_path}",
        f"--dnsmasq-config-file={dnsmasq_config_file}",
        f"--top-regex={top_regex}",
        f"--bottom-regex={bottom_regex}",
    ]
    # Abstract, so that no file is left behind; the applier checks that the
    # peer is the process that started it.
    address = f"\0flatnet-applier-{os.getpid()}"
    reading, writing = os.pipe()
    events, happening = os.pipe()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(4)
        handed = listener.fileno(), reading, happening
        names = "listener", "lifeline", "events"
        command += [f"--{n}={h}" for n, h in zip(names, handed, strict=True)]
        process = subprocess.Popen(
            command, pass_fds=handed, stdin=subprocess.DEVNULL
        )
        # It is accepted once somebody listens.
        first = _connected(address, PATIENCE).detach()
    os.close(reading)
    os.close(happening)
    return ApplierProcess(process, address, writing, events, first)


def _connected(address: str, patience: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(patience)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


class Applier:
    """A connection to the applier that is made again when it broke.

    Not for concurrent use: the reconciler is its only caller.
    """

    def __init__(
        self, started: ApplierProcess, *, patience: float = PATIENCE
    ) -> None:
        """`patience` are seconds; who takes longer is given up on."""
        self._patience = patience
        self._started = started
        self._connection: socket.socket | None = None
        if started.connection is not None:
            self._connection = socket.socket(
                socket.AF_UNIX, socket.SOCK_STREAM, fileno=started.connection
            )
            self._connection.settimeout(patience)
        self._hearer = Hearer(started.events)
        # What the applier confirmed last, under that number.
        self._base: Parts | None = None
        self._number = 0
        # What the last whole work that told of them found of all ports.
        self._found: tuple[int | None, tuple[FoundPort, ...]] = None, ()

    def uplinks(self, names: tuple[str, ...]) -> tuple[Uplink, ...]:
        """What the kernel says of the devices `names` that exist.

        :raises HostSetupError: not enough privilege
        :raises ApplierUnavailable: the applier is gone; ask again
        """
        return self._ask(Request(uplinks=names)).uplinks

    def apply(
        self,
        parts: Parts,
        *,
        renewed: Iterable[str] = (),
        looked_at: Iterable[str] | None = None,
    ) -> Changes:
        """Make this host look like its parts; errors as for `uplinks`.

        Only what the applier has not confirmed yet goes there.

        :param renewed: uuids of instances that begin anew
        :param looked_at: the guests to look at beside those whose parts
            differ; none for all that there is
        """
        whole = looked_at is None or self._base is None
        self._number += 1
        work = Work(
            number=self._number,
            delta=difference(self._base or Parts(parts.host), parts),
            base=None if self._base is None else self._number - 1,
            renewed=tuple(sorted(renewed)),
            whole=whole,
            looked_at=() if looked_at is None else tuple(sorted(looked_at)),
            found=self._found[0],
        )
        base, self._base = self._base, None
        reply = self._ask(Request(work=work))
        if reply.lacks_base and base is not None:
            return self.apply(parts, renewed=renewed)
        self._base = parts
        changes = reply.changes or Changes()
        if reply.as_found:
            return replace(changes, ports=self._found[1])
        if whole:
            self._found = work.number, changes.ports
        return changes

    def trouble(self, *, uplink: str, bridge: str) -> str:
        """What would keep a device from being a bridge's uplink, or empty.

        One line that says what to do; errors as for `uplinks`.
        """
        return self._ask(Request(prospect=(uplink, bridge))).trouble

    def withdraw(self, needed: tuple[InUse, ...]) -> Changes:
        """Take back addresses of ours that keep the host from what it needs.

        Before the database is read, for it may be what is out of reach;
        errors as for `uplinks`.
        """
        return self._ask(Request(needed=needed)).changes or Changes()

    def wait_for_event(self) -> Happened | None:
        """Wait until the host changed; none once the applier is gone.

        The one call that may be made while another waits for its answer.
        """
        return self._hearer.wait()

    def close(self) -> None:
        """Let the applier end, and wait for it."""
        self._disconnect()
        os.close(self._started.lifeline)
        self._started.process.wait(timeout=30)

    @property
    def is_gone(self) -> bool:
        """Whether the applier process itself ended, not just a worker."""
        return self._started.process.poll() is not None

    def _ask(self, request: Request) -> Reply:
        """Return what the applier answers.

        A worker that has ended in between costs nobody anything: the next one
        is asked, once.
        """
        kept = self._connection
        try:
            return self._answered(request)
        except ApplierUnavailable as error:
            if kept is None or isinstance(error.__cause__, TimeoutError):
                raise
        return self._answered(request)

    def _answered(self, request: Request) -> Reply:
        try:
            connection = self._connect()
            channel.send(connection, request)
            reply = channel.receive_reply(connection)
        except TimeoutError as error:
            # Its worker is told by that, and killed if it hangs.
            self._disconnect()
            raise ApplierUnavailable(
                f"the applier process has not answered for "
                f"{self._patience:.0f} s; another worker takes over"
            ) from error
        except (OSError, ApplierUnavailable) as error:
            self._disconnect()
            raise ApplierUnavailable(
                f"the applier process does not answer: {error}"
            ) from error
        if reply.error is not None:
            raise HostSetupError(reply.error)
        return reply

    def _connect(self) -> socket.socket:
        if self._connection is None:
            self._connection = _connected(
                self._started.address, self._patience
            )
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
