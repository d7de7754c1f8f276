"""A lab: several compute nodes on one machine, from up to down.

Down does not rely on what up remembered: it removes every namespace with
the lab's prefix and kills what runs in there, so that it works after any
failure, in another process too.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from subprocess import CompletedProcess
from types import TracebackType
from typing import Self, TypeVar

from flatnet.db import schema
from flatnet.db.engine import Database
from flatnet.lab import namespaces, owner, servers, topology
from flatnet.lab.client import RpcClient
from flatnet.lab.guest import LabGuest
from flatnet.lab.image import image
from flatnet.lab.namespaces import LabError
from flatnet.lab.node import Node, give_to, program
from flatnet.lab.qemu import QemuGuest
from flatnet.lab.rabbitmq import RabbitMQ
from flatnet.lab.signals import uninterrupted
from flatnet.lab.spec import (
    CONTROL_ADDRESS,
    MARIADB,
    POSTGRESQL,
    SQLITE,
    STATE_DIRECTORY,
    LabSpec,
    NodeSpec,
    control_conf_text,
)

Machine = TypeVar("Machine", bound=QemuGuest)
_SERVERS = {
    MARIADB: servers.mariadb_inside,
    POSTGRESQL: servers.postgresql_inside,
}


class Lab:
    """Nodes with daemons, their database and their broker.

    Use it as a context manager, from the main thread: its processes end
    with the thread that started them.
    """

    def __init__(
        self, spec: LabSpec, *, say: Callable[[str], None] = lambda _line: None
    ) -> None:
        """`say` gets a line of text for each step of up and down."""
        self.spec = spec
        self.nodes = _nodes(spec)
        self.broker = RabbitMQ(
            spec.directory / "broker",
            address=CONTROL_ADDRESS,
            namespace=spec.namespace(topology.CONTROL),
        )
        self._say = say
        self._endings: list[Callable[[], None]] = []

    @property
    def database_url(self) -> str:
        """The database, for who is in none of the lab's namespaces."""
        return self.spec.outer_database_url

    def up(self) -> None:
        """Make all of it, and return when every daemon is ready.

        :raises LabError: the lab is up already, or a step failed; nothing
            stays then
        """
        self._claim()
        try:
            self._make()
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Take all of it away, whatever state it is in.

        :raises ExceptionGroup: of what failed; the rest has been done
        """
        steps = [lambda: self._say("taking the lab down"), *self._endings]
        steps += [node.kill_daemon for node in self.nodes]
        steps.append(self.broker.kill)
        self._endings.clear()
        errors: list[Exception] = []
        with uninterrupted():
            for step in steps:
                try:
                    step()
                except Exception as error:  # noqa: BLE001 (raised below)
                    errors.append(error)
            errors += remains_removed(self.spec)
        if errors:
            raise ExceptionGroup(f"lab {self.spec.name}: not all went", errors)

    def renew(self, spec: LabSpec) -> None:
        """Make all nodes anew, and start no daemon on them.

        The broker and the database stay as they are.

        :param spec: of the same name, directory and kind of database
        """
        # In order, so that the broker hears of it: the wires go at once.
        with ThreadPoolExecutor() as threads:
            list(threads.map(Node.stop_daemon, self.nodes))
        for node in self.nodes:
            topology.remove_node(node.spec)
            for path in (node.spec.directory, node.spec.networks_path):
                shutil.rmtree(path)
        self.spec, self.nodes = spec, _nodes(spec)
        for node in self.nodes:
            topology.make_node(node.spec)
            node.write_files(broker_url=self.broker.url)

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()

    def node(self, number: int) -> Node:
        """A node by its number, which counts from 1."""
        return self.nodes[number - 1]

    def cli(self, *words: str) -> str:
        """Run the operator's tool; return what it printed.

        :raises LabError: it failed
        """
        return namespaces.run(self._cli_command(words))

    def attempt_cli(self, *words: str) -> CompletedProcess[str]:
        """Run the operator's tool, its failure being an answer."""
        return namespaces.attempt(self._cli_command(words))

    def inside_control(self, command: Sequence[str]) -> list[str]:
        """The words that run a command where the broker is reached."""
        return namespaces.inside(
            self.spec.namespace(topology.CONTROL), command
        )

    def rpc(self) -> RpcClient:
        """A client for RPC calls; it ends with the lab."""
        client = RpcClient(
            namespace=self.spec.namespace(topology.CONTROL),
            conf=self.spec.control_conf,
            log=self.spec.directory / "rpc-client.log",
        )
        self._endings.append(client.close)
        return client

    def guest(self, hostname: str, *, node: Node, vif_uuid: str) -> LabGuest:
        """A guest on the veth port of an interface; not yet with a lease."""
        guest = LabGuest(self.spec, hostname, node_namespace=node.namespace)
        guest.plug(vif_uuid)
        return guest

    def machine(
        self, kind: type[Machine], *, node: Node, tap: str, mac: str
    ) -> Machine:
        """A virtual machine of some kind on a tap; not yet booted."""
        files = self.spec.directory / "guests" / node.name
        guest = kind(
            image(), directory=files, node=node.namespace, tap=tap, mac=mac
        )
        self._endings.append(guest.kill)
        return guest

    def describe(self) -> str:
        """All that one wants to know when a test fails."""
        return "\n".join(node.describe() for node in self.nodes)

    def _claim(self) -> None:
        """Take the lab's directory, or say whose it is."""
        here = self.spec.directory
        holder = owner.read(here)
        if holder is not None and holder.lives:
            raise LabError(
                f"lab {self.spec.name} is up already (process {holder.pid}); "
                f"flatnet lab down --name {self.spec.name} --directory "
                f"{here} takes it down"
            )
        if holder is not None:
            self._say("removing what an earlier run has left")
            errors = remains_removed(self.spec)
            if errors:
                raise errors[0]
        try:
            here.mkdir(parents=True, mode=0o755)
        except FileExistsError as error:
            raise LabError(f"{here} exists and is no lab's") from error
        owner.write(here, nodes=self.spec.nodes)

    def _make(self) -> None:
        spec = self.spec
        self._say(f"network namespaces: {', '.join(spec.node_names)}, ...")
        topology.make_surroundings(spec)
        for node in self.nodes:
            topology.make_node(node.spec)
        with self._timed("RabbitMQ"):
            self.broker.start()
        with self._timed("database"):
            self._make_database()
        url = self.broker.url
        spec.control_conf.write_text(control_conf_text(spec, broker_url=url))
        self._start_daemons()

    def _start_daemons(self) -> None:
        with self._timed(f"flatnet-manager on {self.spec.nodes} nodes"):
            for node in self.nodes:
                node.write_files(broker_url=self.broker.url)
                node.begin_daemon()
            for node in self.nodes:
                node.await_daemon()

    @contextlib.contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self._say(f"{step}: ready after {time.monotonic() - start:.1f} s")

    def _make_database(self) -> None:
        """Make an empty database that the daemons may write to."""
        path = self.spec.database_file
        if self.spec.database == SQLITE:
            path.parent.mkdir()
        else:
            self._start_server()
        with contextlib.closing(Database(self.database_url)) as database:
            schema.upgrade(database)
        if self.spec.database == SQLITE:
            for each in (path.parent, *path.parent.iterdir()):
                give_to(each, self.spec.manager_user)

    def _start_server(self) -> None:
        running = contextlib.ExitStack()
        self._endings.append(running.close)
        running.enter_context(
            _SERVERS[self.spec.database](
                self.spec.namespace(topology.CONTROL),
                self.spec.server_directory,
                address=CONTROL_ADDRESS,
            )
        )

    def _cli_command(self, words: Sequence[str]) -> list[str]:
        conf = str(self.spec.control_conf)
        return self.inside_control(
            [program("flatnet"), "--config-file", conf, *words]
        )


def _nodes(spec: LabSpec) -> tuple[Node, ...]:
    return tuple(
        Node(NodeSpec(lab=spec, number=number + 1))
        for number in range(spec.nodes)
    )


def remains_removed(spec: LabSpec) -> list[Exception]:
    """Remove a lab's namespaces, processes and files; return the errors."""
    errors = namespaces.remove_all(spec.prefix)
    holder = owner.read(spec.directory)
    if holder is not None and not errors:
        shutil.rmtree(spec.directory)
        # Other labs may have theirs beside it.
        with contextlib.suppress(OSError):
            STATE_DIRECTORY.rmdir()
    return errors


def down(spec: LabSpec) -> bool:
    """Take a lab down that another process holds, or held.

    Return whether there was one.
    """
    holder = owner.read(spec.directory)
    if holder is not None and holder.pid != os.getpid():
        holder.end()
    left = namespaces.names(spec.prefix)
    errors = remains_removed(spec)
    if errors:
        raise ExceptionGroup(f"lab {spec.name}: not all went", errors)
    return holder is not None or bool(left)
