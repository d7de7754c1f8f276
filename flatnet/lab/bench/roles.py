"""Which process of a lab does what."""

from flatnet.lab import namespaces, topology
from flatnet.lab.bench import cpu
from flatnet.lab.lab import Lab
from flatnet.lab.namespaces import LabError
from flatnet.lab.node import Node

DATABASE, DNSMASQ = "database", "dnsmasq"
_SERVERS = {
    "beam.smp": "broker",
    "mariadbd": DATABASE,
    "postgres": DATABASE,
}
# Of the daemon.
OURS = ("manager", "applier")


def pids(lab: Lab) -> dict[str, list[int]]:
    """The processes of a lab's servers and nodes, by role.

    The applier is two processes, and the commands that it runs just now.
    """
    found: dict[str, list[int]] = {}
    control = lab.spec.namespace(topology.CONTROL)
    for pid in namespaces.pids(control):
        if role := _SERVERS.get(cpu.program(pid)):
            found.setdefault(role, []).append(pid)
    for node in lab.nodes:
        for pid in namespaces.pids(node.namespace):
            if role := _of_node(pid, node.daemon_pid):
                found.setdefault(role, []).append(pid)
    return found


def _of_node(pid: int, daemon: int) -> str:
    """The role of a process of a node, empty for who is not flatnet's."""
    if pid == daemon:
        return "manager"
    if cpu.program(pid) == DNSMASQ:
        return DNSMASQ
    while pid > 1:
        pid = cpu.parent(pid)
        if pid == daemon:
            return "applier"
    return ""


def applier(node: Node) -> int:
    """The privileged process that a daemon starts, and that starts workers.

    :raises LabError: it does not run; so for `worker`
    """
    return _child(node, node.daemon_pid)


def worker(node: Node) -> int:
    """The one that does the work, and looks at the host in between."""
    return _child(node, applier(node))


def _child(node: Node, parent: int) -> int:
    for pid in namespaces.pids(node.namespace):
        if cpu.parent(pid) == parent:
            return pid
    raise LabError(f"{node.name}: process {parent} has no child")
