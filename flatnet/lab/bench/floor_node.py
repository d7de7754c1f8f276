"""Nodes of the floors' servers: hosts as others, but without a daemon."""

from collections.abc import Sequence

from flatnet.lab import topology
from flatnet.lab.server_process import LabProcess
from flatnet.lab.spec import NodeSpec


def started(
    spec: NodeSpec, command: Sequence[str], serving: str
) -> LabProcess:
    """Make the node; return the server once it serves.

    :param command: takes the database, a directory and options, too
    :param serving: what it says then
    """
    topology.make_node(spec)
    spec.directory.mkdir()
    daemon = LabProcess(
        [
            *[*command, spec.lab.database_url, str(spec.directory)],
            *["--config-file", str(spec.lab.control_conf)],
        ],
        log=spec.log,
        namespace=spec.namespace,
    )
    daemon.wait_until(lambda: serving in spec.log.read_text())
    return daemon
