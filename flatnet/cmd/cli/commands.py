"""Every command: its name, where its class is, and one line about it.

It is a table and not a set of entry points, so that `flatnet --help` needs
to import no command and no library behind it.
"""

_HERE = "flatnet.cmd.cli"

COMMANDS = (
    (
        "complete",
        "cliff.complete:CompleteCommand",
        "print bash completion command",
    ),
    (
        "db upgrade",
        f"{_HERE}.db:Upgrade",
        "Bring the tables to the revision of this program.",
    ),
    (
        "db version",
        f"{_HERE}.db:Version",
        "Check that the tables are at the revision of this program.",
    ),
    (
        "floating allocate",
        f"{_HERE}.floating:Allocate",
        "Give a project the lowest free address of a pool.",
    ),
    (
        "floating associate",
        f"{_HERE}.floating:Associate",
        "Have a floating address lead to a fixed one, wherever it led before.",
    ),
    (
        "floating disassociate",
        f"{_HERE}.floating:Disassociate",
        "Have a floating address lead nowhere; its project keeps it.",
    ),
    (
        "floating list",
        f"{_HERE}.floating:List",
        "List the floating addresses that projects have.",
    ),
    (
        "floating pool create",
        f"{_HERE}.floating_pool:Create",
        "Put the addresses of a range into a pool.",
    ),
    (
        "floating pool delete",
        f"{_HERE}.floating_pool:Delete",
        "Delete a pool of which no project has an address.",
    ),
    (
        "floating pool list",
        f"{_HERE}.floating_pool:List",
        "List the pools of floating addresses.",
    ),
    (
        "floating release",
        f"{_HERE}.floating:Release",
        "Give a floating address back to its pool.",
    ),
    (
        "help",
        f"{_HERE}.app:Help",
        "Show what a command does and takes.",
    ),
    (
        "host list",
        f"{_HERE}.host:List",
        "List the hosts: in what state, with how many instances.",
    ),
    (
        "host reconcile",
        f"{_HERE}.host:Reconcile",
        "Have a host look at all rows and at itself now.",
    ),
    (
        "host show",
        f"{_HERE}.host:Show",
        "Ask a host's daemon what it made of its last pass.",
    ),
    (
        "import nova",
        f"{_HERE}.nova:Import",
        "Take over networks, addresses and security groups of nova-network.",
    ),
    (
        "instance allocate",
        f"{_HERE}.allocation:Allocate",
        "Have an instance's host give it addresses and ports.",
    ),
    (
        "instance create",
        f"{_HERE}.instance:Create",
        "Write an instance's row, where no compute service does.",
    ),
    (
        "instance deallocate",
        f"{_HERE}.allocation:Deallocate",
        "Take an instance's addresses and ports away.",
    ),
    (
        "instance list",
        f"{_HERE}.instance:List",
        "List the living instances: in what state, with which addresses.",
    ),
    (
        "instance set",
        f"{_HERE}.instance:Set",
        "Set the security groups that an instance is in.",
    ),
    (
        "instance show",
        f"{_HERE}.instance:Show",
        "Show an instance with its interfaces.",
    ),
    (
        "lab bench",
        f"{_HERE}.lab:Bench",
        "Measure what flatnet costs, each figure beside its floor.",
    ),
    (
        "lab demo",
        f"{_HERE}.lab:Demo",
        "Show the main job on two nodes with four guests, then go.",
    ),
    (
        "lab down",
        f"{_HERE}.lab:Down",
        "Take a lab down, whatever state it is in.",
    ),
    (
        "lab exec",
        f"{_HERE}.lab:Exec",
        "Run a command on a node, in a guest or in the surroundings.",
    ),
    (
        "lab status",
        f"{_HERE}.lab:Status",
        "List what there is of a lab.",
    ),
    (
        "lab up",
        f"{_HERE}.lab:Up",
        "Bring a lab up, and leave it up.",
    ),
    (
        "network create",
        f"{_HERE}.network:Create",
        "Create a network; what is not given comes from the options.",
    ),
    (
        "network delete",
        f"{_HERE}.network:Delete",
        "Delete a network that no instance uses.",
    ),
    (
        "network list",
        f"{_HERE}.network:List",
        "List the networks.",
    ),
    (
        "network set",
        f"{_HERE}.network_set:Set",
        "Set which host serves a network, or whether one host does for all.",
    ),
    (
        "network show",
        f"{_HERE}.network:Show",
        "Show a network with the addresses of its hosts' bridges.",
    ),
    (
        "port list",
        f"{_HERE}.port:List",
        "List the ports of instances, with what their hosts made of them.",
    ),
    (
        "port show",
        f"{_HERE}.port:Show",
        "Show a port: by its device, an address, its MAC or its instance.",
    ),
    (
        "security group add instance",
        f"{_HERE}.membership:AddInstance",
        "Put an instance into a security group.",
    ),
    (
        "security group create",
        f"{_HERE}.security_group:Create",
        "Create a security group without rules or members.",
    ),
    (
        "security group delete",
        f"{_HERE}.security_group:Delete",
        "Delete a security group that nothing uses, with its rules.",
    ),
    (
        "security group list",
        f"{_HERE}.security_group:List",
        "List the security groups.",
    ),
    (
        "security group remove instance",
        f"{_HERE}.membership:RemoveInstance",
        "Take an instance out of a security group.",
    ),
    (
        "security group rule create",
        f"{_HERE}.security_group_rule:Create",
        "Let traffic to a group's members through.",
    ),
    (
        "security group rule delete",
        f"{_HERE}.security_group_rule:Delete",
        "Delete a rule.",
    ),
    (
        "security group show",
        f"{_HERE}.security_group:Show",
        "Show a security group with its rules.",
    ),
)
