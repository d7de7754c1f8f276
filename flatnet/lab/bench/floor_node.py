"""The node of the floor's server: a host as others, but without a daemon."""

import sys

from flatnet.lab import topology
from flatnet.lab.bench import floor
from flatnet.lab.daemon import Daemon
from flatnet.lab.spec import NodeSpec


def started(spec: NodeSpec) -> Daemon:
    """Make the node; return the server once it serves."""
    topology.make_node(spec)
    spec.directory.mkdir()
    daemon = Daemon(
        [
            *[sys.executable, "-m", floor.__name__],
            *[spec.lab.database_url, str(spec.directory)],
            *["--config-file", str(spec.lab.control_conf)],
        ],
        log=spec.log,
        namespace=spec.namespace,
    )
    daemon.wait_until(lambda: floor.SERVING in spec.log.read_text())
    return daemon
