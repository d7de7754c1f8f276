"""Which process of a lab does what."""

from flatnet.lab import namespaces, topology
from flatnet.lab.bench import cpu
from flatnet.lab.lab import Lab

_SERVERS = {
    "beam.smp": "broker",
    "mariadbd": "database",
    "postgres": "database",
}
_DNSMASQ = "dnsmasq"
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
            role = "applier"
            if pid == node.daemon_pid:
                role = "manager"
            elif cpu.program(pid) == _DNSMASQ:
                role = _DNSMASQ
            found.setdefault(role, []).append(pid)
    return found
