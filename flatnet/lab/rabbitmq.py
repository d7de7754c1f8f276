"""A private RabbitMQ: own ports, own epmd, own cookie, own directory.

Erlang wants a port mapper (epmd) that finds nodes by name.  The machine's
own would be shared with a broker that is none of our business, so ours runs
on a port of its own and is our child, not the broker's.
"""

import os
import secrets
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from flatnet.lab.server_process import (
    LabProcess,
    ServerError,
    answer,
    free_ports,
)

# Debian's /usr/sbin wrapper changes the user and the directory; this is the
# script behind it.
_PROGRAM = "/usr/lib/rabbitmq/bin/rabbitmq-server"
_ATTEMPTS = 3
_AMQP_GREETING = b"AMQP\x00\x00\x09\x01"
_EPMD_NAMES_REQUEST = b"\x00\x01n"
_CONFIGURATION = """\
listeners.tcp.1 = {address}:{port}
num_acceptors.tcp = 2
loopback_users = none
log.console = true
log.console.level = warning
log.file = false
# A test directory is no place to watch the size of.
disk_free_limit.absolute = 1MB
vm_memory_high_watermark.relative = 0.6
"""


class RabbitMQ:
    """A broker that can be lost and come back on the same port.

    `url` is what oslo.messaging needs; it is valid after the first start.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        address: str = "127.0.0.1",
        namespace: str | None = None,
    ) -> None:
        """`address` and the loopback must be up in `namespace`."""
        self._directory = Path(directory).absolute()
        self._address = address
        self._namespace = namespace
        self._ports: tuple[int, int, int] | None = None
        self._epmd: LabProcess | None = None
        self._broker: LabProcess | None = None

    @property
    def url(self) -> str:
        if self._ports is None:
            raise ServerError("RabbitMQ has no port before its first start")
        return f"rabbit://guest:guest@{self._address}:{self._ports[0]}/"

    def start(self) -> None:
        """Return when the broker speaks AMQP.  Raises ServerError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        attempts = _ATTEMPTS if self._ports is None else 1
        for attempt in range(1, attempts + 1):
            ports = self._ports or _three_ports(self._address, self._namespace)
            try:
                self._start_with(*ports)
            except ServerError as error:
                self.stop()
                # A port can be taken between our look and the start.
                taken = "eaddrinuse" in str(error).lower()
                if attempt == attempts or not taken:
                    raise
                shutil.rmtree(self._directory / "mnesia", ignore_errors=True)
            else:
                self._ports = ports
                return

    def stop(self) -> None:
        """Stop the broker in order, then its port mapper."""
        broker, self._broker = self._broker, None
        epmd, self._epmd = self._epmd, None
        try:
            if broker:
                broker.stop()
        finally:
            if epmd:
                epmd.stop()

    def kill(self) -> None:
        """Lose the broker as in a crash; `start` brings it back."""
        if self._broker:
            self._broker.kill()
        self.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start_with(self, port: int, epmd_port: int, dist_port: int) -> None:
        environment = self._write_files(port, epmd_port, dist_port)
        try:
            self._epmd = LabProcess(
                [
                    *["epmd", "-address", "127.0.0.1"],
                    *["-port", str(epmd_port)],
                ],
                log=self._directory / "epmd.log",
                namespace=self._namespace,
                environment=environment,
            )
            self._epmd.wait_until(lambda: self._epmd_answers(epmd_port))
            self._broker = LabProcess(
                [_PROGRAM],
                log=self._directory / "broker.log",
                namespace=self._namespace,
                environment=environment,
            )
            self._broker.wait_until(lambda: self._broker_answers(port))
        except BaseException:
            # Half started it may not heed SIGTERM, and has nothing to save.
            self.kill()
            raise

    def _write_files(
        self, port: int, epmd_port: int, dist_port: int
    ) -> dict[str, str]:
        """Write what the broker reads; answer its whole environment."""
        here = self._directory
        (here / "rabbitmq.conf").write_text(
            _CONFIGURATION.format(address=self._address, port=port)
        )
        (here / "enabled_plugins").write_text("[].\n")
        cookie = here / ".erlang.cookie"
        if not cookie.exists():
            cookie.touch(mode=0o600)
            cookie.write_text(secrets.token_hex(16))
            cookie.chmod(0o400)
        return {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            "LANG": "C.UTF-8",
            "HOME": str(here),
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # The node's name needs a host part that every machine resolves.
            "RABBITMQ_NODENAME": "rabbit@localhost",
            "RABBITMQ_DIST_PORT": str(dist_port),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(here / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(here / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(here / "enabled_plugins"),
            "RABBITMQ_LOG_BASE": str(here / "log"),
            "RABBITMQ_MNESIA_BASE": str(here / "mnesia"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(here / "config"),
            # One scheduler that sleeps when idle: a small footprint.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "+S 1:1 +SDcpu 1:1 +SDio 2 +A 2 +sbwt none "
                "-kernel inet_dist_use_interface {127,0,0,1} "
                "-start_epmd false"
            ),
            # The script then becomes the broker instead of watching it, so
            # that the pid that we started is the broker's.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _epmd_answers(self, port: int) -> bool:
        return bool(
            answer(
                "127.0.0.1",
                port,
                greeting=_EPMD_NAMES_REQUEST,
                namespace=self._namespace,
            )
        )

    def _broker_answers(self, port: int) -> bool:
        """Whether it opens an AMQP connection (Connection.Start)."""
        got = answer(
            self._address,
            port,
            greeting=_AMQP_GREETING,
            namespace=self._namespace,
        )
        return got[:1] == b"\x01"


def _three_ports(address: str, namespace: str | None) -> tuple[int, int, int]:
    """Ports for AMQP, epmd and distribution.

    In a namespace of its own nothing else listens, and the address does not
    exist out here: any free numbers do.
    """
    here = "127.0.0.1" if namespace else address
    amqp, epmd, distribution = free_ports(3, address=here)
    return amqp, epmd, distribution
