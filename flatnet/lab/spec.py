"""What a lab looks like, as values: names, addresses, files' texts.

Everything here follows from the few fields of `LabSpec`, so that another
process, which only knows the lab's name, finds the same names again.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from flatnet.exceptions import ConfigurationError
from flatnet.lab import servers

STATE_DIRECTORY = Path("/var/lib/flatnet-lab")
PREFIX = "flatnet"
CONTROL_ADDRESS = "172.31.255.1"
OUTSIDE_ADDRESS = "198.51.100.1"
PREFIX_LENGTH = 24
BRIDGE = "br100"
MOST_NODES = 200
SQLITE, MARIADB, POSTGRESQL = "sqlite", "mariadb", "postgresql"
_FIRST_NODE_ADDRESS = 10
# No hyphen: it parts the lab's name from the rest in a namespace's name.
_LAB_NAME = re.compile(r"[a-z0-9_]{1,32}")
_MEMBER_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")


@dataclass(frozen=True)
class LabSpec:
    """Number of nodes and how their daemons are configured.

    `options` are further lines of [DEFAULT] for every node, as (name,
    value) pairs; they come last and so win over the lab's own.  `database` is
    SQLITE, or MARIADB or POSTGRESQL, a server beside the broker.
    """

    name: str = "lab"
    nodes: int = 2
    directory: Path = STATE_DIRECTORY / "lab"
    vif_plug: str = "veth"
    # He exists everywhere.
    manager_user: str = "nobody"
    options: tuple[tuple[str, str], ...] = ()
    database: str = SQLITE

    def __post_init__(self) -> None:
        if not _LAB_NAME.fullmatch(self.name):
            raise ConfigurationError(
                f"lab name {self.name!r}: use 1 to 32 small letters, digits "
                "and underscores"
            )
        if not 1 <= self.nodes <= MOST_NODES:
            raise ConfigurationError(
                f"{self.nodes} nodes: a lab has 1 to {MOST_NODES}"
            )

    @property
    def prefix(self) -> str:
        """What the names of this lab's namespaces begin with."""
        return f"{PREFIX}-{self.name}-"

    def namespace(self, member: str) -> str:
        """Name of the namespace of a node, a guest or the surroundings.

        :raises ConfigurationError: no namespace can be called so
        """
        if not _MEMBER_NAME.fullmatch(member):
            raise ConfigurationError(f"{member!r} cannot name a namespace")
        return self.prefix + member

    @property
    def node_names(self) -> tuple[str, ...]:
        return tuple(f"node{number + 1}" for number in range(self.nodes))

    @property
    def database_file(self) -> Path:
        return self.directory / "database" / "flatnet.sqlite"

    @property
    def server_directory(self) -> Path:
        """Where the database server has its files, and its socket."""
        return self.directory / self.database

    @property
    def database_url(self) -> str:
        """The database, for daemons and for the operator's tool."""
        if self.database == MARIADB:
            return servers.mariadb_url(CONTROL_ADDRESS, servers.MARIADB_PORT)
        if self.database == POSTGRESQL:
            return servers.postgresql_url(
                CONTROL_ADDRESS, servers.POSTGRESQL_PORT
            )
        return f"sqlite:///{self.database_file}"

    @property
    def outer_database_url(self) -> str:
        """The database, for who is in none of the lab's namespaces."""
        if self.database == MARIADB:
            socket = self.server_directory / servers.MARIADB_SOCKET
            return (
                f"mysql+pymysql://root@localhost/flatnet?unix_socket={socket}"
            )
        if self.database == POSTGRESQL:
            return (
                "postgresql+psycopg2://postgres@/flatnet"
                f"?host={self.server_directory}"
            )
        return self.database_url

    @property
    def control_conf(self) -> Path:
        return self.directory / "control.conf"


@dataclass(frozen=True)
class NodeSpec:
    """One compute node: its number counts from 1."""

    lab: LabSpec
    number: int

    @property
    def name(self) -> str:
        return f"node{self.number}"

    @property
    def namespace(self) -> str:
        return self.lab.namespace(self.name)

    @property
    def control_address(self) -> str:
        network = CONTROL_ADDRESS.rpartition(".")[0]
        return f"{network}.{_FIRST_NODE_ADDRESS + self.number}"

    @property
    def public_address(self) -> str:
        network = OUTSIDE_ADDRESS.rpartition(".")[0]
        return f"{network}.{_FIRST_NODE_ADDRESS + self.number}"

    @property
    def directory(self) -> Path:
        return self.lab.directory / self.name

    @property
    def networks_path(self) -> Path:
        return self.lab.directory / f"{self.name}-networks"

    @property
    def conf(self) -> Path:
        return self.lab.directory / f"{self.name}.conf"

    @property
    def log(self) -> Path:
        return self.lab.directory / f"{self.name}.log"


def node_conf_text(node: NodeSpec, *, broker_url: str) -> str:
    """The configuration file of a node's daemon."""
    options = (
        ("host", node.name),
        ("my_ip", node.control_address),
        ("flat_interface", "eth1"),
        ("public_interface", "eth2"),
        ("flat_network_bridge", BRIDGE),
        ("routing_source_ip", node.public_address),
        ("state_path", str(node.directory)),
        ("networks_path", str(node.networks_path)),
        ("vif_plug", node.lab.vif_plug),
        ("manager_user", node.lab.manager_user),
        ("transport_url", broker_url),
        *node.lab.options,
    )
    return _conf_text(options, database_url=node.lab.database_url)


def control_conf_text(spec: LabSpec, *, broker_url: str) -> str:
    """The configuration file of the operator's tool."""
    options = (
        ("host", "control"),
        ("state_path", str(spec.directory)),
        ("flat_network_bridge", BRIDGE),
        ("transport_url", broker_url),
    )
    return _conf_text(options, database_url=spec.database_url)


def _conf_text(
    options: tuple[tuple[str, str], ...], *, database_url: str
) -> str:
    last = dict(options)
    lines = ["[DEFAULT]"]
    lines += [f"{name} = {value}" for name, value in last.items()]
    lines += ["", "[database]", f"connection = {database_url}", ""]
    return "\n".join(lines)
