"""The wires of a lab: three bridges, and three devices per node.

`control` carries the broker's traffic, `switch` joins the nodes' uplinks to
one segment, and `outside` is all that lies beyond the public interfaces.
"""

from flatnet.lab import namespaces
from flatnet.lab.spec import (
    CONTROL_ADDRESS,
    OUTSIDE_ADDRESS,
    PREFIX_LENGTH,
    LabSpec,
    NodeSpec,
)

CONTROL = "control"
SWITCH = "switch"
OUTSIDE = "outside"
_BRIDGE = "br0"
# A node's devices, and where their other ends are.
_WIRES = (("eth0", CONTROL), ("eth1", SWITCH), ("eth2", OUTSIDE))
_ADDRESSES = {CONTROL: CONTROL_ADDRESS, OUTSIDE: OUTSIDE_ADDRESS}


def make_surroundings(spec: LabSpec) -> None:
    """Make the namespaces that are no nodes, each with its bridge."""
    for member in (CONTROL, SWITCH, OUTSIDE):
        namespace = spec.namespace(member)
        namespaces.add(namespace)
        # Wires: nothing that happens on them is a firewall's business.
        namespaces.set_sysctls(
            namespace,
            {
                "net/bridge/bridge-nf-call-iptables": "0",
                "net/bridge/bridge-nf-call-ip6tables": "0",
                "net/bridge/bridge-nf-call-arptables": "0",
            },
        )
        lines = [f"link add {_BRIDGE} type bridge"]
        if member in _ADDRESSES:
            address = f"{_ADDRESSES[member]}/{PREFIX_LENGTH}"
            lines.append(f"addr add {address} dev {_BRIDGE}")
        namespaces.configure(namespace, *lines, f"link set {_BRIDGE} up")


def make_node(node: NodeSpec) -> None:
    """Make a node's namespace and plug its devices in."""
    namespaces.add(node.namespace)
    for device, member in _WIRES:
        other = node.lab.namespace(member)
        namespaces.configure(
            node.namespace,
            f"link add {device} type veth peer name {node.name} netns {other}",
            f"link set {device} up",
        )
        namespaces.configure(
            other, f"link set {node.name} master {_BRIDGE} up"
        )
    namespaces.configure(
        node.namespace,
        f"addr add {node.control_address}/{PREFIX_LENGTH} dev eth0",
        f"addr add {node.public_address}/{PREFIX_LENGTH} dev eth2",
        f"route add default via {OUTSIDE_ADDRESS}",
    )


def remove_node(node: NodeSpec) -> None:
    """Kill what runs on a node, and take it and its wires away.

    The kernel empties a namespace when it has time: the wires go before, so
    that others can be made in their places.
    """
    namespaces.kill(node.namespace)
    for device, _ in _WIRES:
        namespaces.configure(node.namespace, f"link del {device}")
    namespaces.remove(node.namespace)
