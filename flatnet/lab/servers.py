"""Private servers for the lab and the tests, each in a given directory.

Each context manager starts a real server on a free port of the loopback,
yields the URL that a client needs, and stops the server whatever happens.
"""

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from flatnet.lab.rabbitmq import RabbitMQ
from flatnet.lab.server_process import (
    LabProcess,
    ServerError,
    answer,
    as_user,
    free_ports,
    log_tail,
)

_ADDRESS = "127.0.0.1"
_ATTEMPTS = 3
# Nothing here must survive a power failure.
_MARIADB_OPTIONS = (
    *("--innodb-flush-log-at-trx-commit=0", "--skip-log-bin"),
    *("--innodb-buffer-pool-size=64M", "--innodb-doublewrite=0"),
    *("--max-connections=300", "--performance-schema=off"),
)
_POSTGRES_ROOT = Path("/usr/lib/postgresql")
_POSTGRES_USER = "nobody"
# SSLRequest: the one message that any state of the server answers.
_SSL_REQUEST = bytes.fromhex("0000000804d2162f")
MARIADB_PORT = 3306
MARIADB_SOCKET = "socket"
POSTGRESQL_PORT = 5432
_MARIADB_LOG = "mariadb.log"
# Who comes from another machine is another user, whatever his name.
_MARIADB_INIT = """\
CREATE DATABASE IF NOT EXISTS flatnet CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS root@'%';
GRANT ALL ON *.* TO root@'%';
"""


@contextmanager
def rabbitmq(
    directory: Path | str,
    *,
    address: str = _ADDRESS,
    namespace: str | None = None,
) -> Iterator[str]:
    """A RabbitMQ; yields `rabbit://guest:guest@ADDRESS:PORT/`."""
    with RabbitMQ(directory, address=address, namespace=namespace) as broker:
        yield broker.url


@contextmanager
def mariadb(
    directory: Path | str, *, options: tuple[str, ...] = ()
) -> Iterator[str]:
    """A MariaDB with an empty database `flatnet`; yields its URL.

    :param options: of the server, beside its own
    """
    here = _prepared_mariadb(directory)

    def start(port: int) -> LabProcess:
        command = _mariadb_command(here, _ADDRESS, port)
        return LabProcess([*command, *options], log=here / _MARIADB_LOG)

    with _server(start) as port:
        yield mariadb_url(_ADDRESS, port)


@contextmanager
def mariadb_inside(
    namespace: str, directory: Path | str, *, address: str
) -> Iterator[str]:
    """A MariaDB in a namespace, on the usual port of an address there.

    From outside it is reached by the socket MARIADB_SOCKET in its directory.
    """
    here = _prepared_mariadb(directory)
    daemon = LabProcess(
        _mariadb_command(here, address, MARIADB_PORT),
        log=here / _MARIADB_LOG,
        namespace=namespace,
    )
    try:
        daemon.wait_until(
            lambda: bool(answer(address, MARIADB_PORT, namespace=namespace))
        )
        yield mariadb_url(address, MARIADB_PORT)
    finally:
        daemon.stop()


def _prepared_mariadb(directory: Path | str) -> Path:
    """Make the data directory of a MariaDB; return the absolute path."""
    here = Path(directory).absolute()
    here.mkdir(parents=True, exist_ok=True)
    _run(
        [
            *["mariadb-install-db", "--no-defaults", "--user=root"],
            *["--auth-root-authentication-method=normal", "--skip-test-db"],
            *["--skip-name-resolve", f"--datadir={here / 'data'}"],
        ],
        log=here / _MARIADB_LOG,
    )
    (here / "init.sql").write_text(_MARIADB_INIT)
    return here


def _mariadb_command(here: Path, address: str, port: int) -> list[str]:
    return [
        *["mariadbd", "--no-defaults", "--user=root"],
        *[f"--bind-address={address}", f"--port={port}"],
        *[f"--datadir={here / 'data'}", "--skip-name-resolve"],
        *[f"--socket={here / MARIADB_SOCKET}", f"--tmpdir={here}"],
        *[f"--pid-file={here / 'pid'}", f"--init-file={here}/init.sql"],
        *_MARIADB_OPTIONS,
    ]


def mariadb_url(address: str, port: int) -> str:
    """The URL of a MariaDB's database `flatnet`."""
    return f"mysql+pymysql://root@{address}:{port}/flatnet?charset=utf8mb4"


@contextmanager
def postgresql(directory: Path | str) -> Iterator[str]:
    """A PostgreSQL with an empty database `flatnet`; yields its URL."""
    start = _postgresql_starter(directory, _ADDRESS, sockets="")
    with _server(start, greeting=_SSL_REQUEST) as port:
        yield postgresql_url(_ADDRESS, port)


@contextmanager
def postgresql_inside(
    namespace: str, directory: Path | str, *, address: str
) -> Iterator[str]:
    """A PostgreSQL in a namespace, on the usual port of an address there.

    From outside it is reached by a socket in its directory.
    """
    start = _postgresql_starter(
        directory, address, sockets=directory, namespace=namespace
    )
    daemon = start(POSTGRESQL_PORT)
    try:
        daemon.wait_until(
            lambda: bool(
                answer(
                    address,
                    POSTGRESQL_PORT,
                    greeting=_SSL_REQUEST,
                    namespace=namespace,
                )
            )
        )
        yield postgresql_url(address, POSTGRESQL_PORT)
    finally:
        daemon.stop()


def postgresql_url(address: str, port: int) -> str:
    """The URL of a PostgreSQL's database `flatnet`."""
    return f"postgresql+psycopg2://postgres@{address}:{port}/flatnet"


def _postgresql_starter(
    directory: Path | str,
    address: str,
    *,
    sockets: Path | str,
    namespace: str | None = None,
) -> Callable[[int], LabProcess]:
    """Make a cluster; return what starts its server on a port.

    :param sockets: the directory of those of its host, empty for none
    """
    here = Path(directory).absolute()
    here.mkdir(parents=True, exist_ok=True)
    programs = _postgres_programs()
    log, data = here / "postgresql.log", here / "data"
    _make_cluster(programs, data, log=log)
    return lambda port: LabProcess(
        [
            *[str(programs / "postgres"), "-D", str(data)],
            *["-h", address, "-p", str(port), "-k", str(sockets)],
            *["-c", "max_connections=300", "-c", "shared_buffers=32MB"],
            *["-c", "dynamic_shared_memory_type=mmap"],
            # Nothing here must survive a power failure.
            *["-c", "fsync=off", "-c", "full_page_writes=off"],
            *["-c", "synchronous_commit=off"],
        ],
        log=log,
        namespace=namespace,
        user=_POSTGRES_USER,
        # SIGTERM would wait for every client to leave.
        stop_signal=signal.SIGINT,
    )


def _make_cluster(programs: Path, data: Path, *, log: Path) -> None:
    """Make the data directory of a PostgreSQL, with one database."""
    data.mkdir(mode=0o700)
    shutil.chown(data, _POSTGRES_USER)
    _run(
        [
            *[str(programs / "initdb"), "--pgdata", str(data), "--no-sync"],
            *["--username=postgres", "--auth=trust"],
            *["--encoding=UTF8", "--locale=C.UTF-8"],
        ],
        log=log,
        user=_POSTGRES_USER,
    )
    # Without a server: it takes statements, one per line.
    _run(
        [str(programs / "postgres"), "--single", "-D", str(data), "postgres"],
        log=log,
        user=_POSTGRES_USER,
        text="CREATE DATABASE flatnet;\n",
    )
    # Who comes from another machine is trusted like who comes from ours.
    with (data / "pg_hba.conf").open("a") as trusted:
        trusted.write("host all all all trust\n")


@contextmanager
def _server(
    start: Callable[[int], LabProcess], *, greeting: bytes = b""
) -> Iterator[int]:
    """Start a server on a free port, yield the port, stop the server."""
    for attempt in range(1, _ATTEMPTS + 1):
        (port,) = free_ports(1)
        daemon = start(port)
        try:
            daemon.wait_until(partial(_answers, port, greeting))
        except ServerError as error:
            # The port can be taken between our look and the start.
            if attempt < _ATTEMPTS and "in use" in str(error):
                continue
            raise
        except BaseException:
            daemon.stop()
            raise
        try:
            yield port
        finally:
            daemon.stop()
        return


def _answers(port: int, greeting: bytes) -> bool:
    return bool(answer(_ADDRESS, port, greeting=greeting, namespace=None))


def _run(
    command: list[str],
    *,
    log: Path,
    user: str | None = None,
    text: str = "",
) -> None:
    """Run a program that prepares a server.  Raises ServerError."""
    with log.open("ab") as output:
        done = subprocess.run(
            [*as_user(user), *command],
            input=text.encode(),
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            check=False,
            timeout=120,
        )
    if done.returncode != 0:
        raise ServerError(
            f"{command[0]} ended with status {done.returncode}\n"
            f"{log_tail(log)}"
        )


def _postgres_programs() -> Path:
    """The directory of the newest PostgreSQL's programs."""
    found = [
        path
        for path in _POSTGRES_ROOT.glob("*/bin")
        if (path / "initdb").exists()
    ]
    if not found:
        raise ServerError(f"no PostgreSQL server under {_POSTGRES_ROOT}")
    return max(found, key=lambda path: int(path.parent.name))
