"""What of ours others find on a host, and commands that they give.

Of one's own network namespace.
"""

import contextlib

from host_state import output, seen


def run(command):
    """Run a command, which has to succeed."""
    output(*command.split())


def tried(command):
    """Run a command that need not succeed."""
    with contextlib.suppress(AssertionError):
        run(command)


def a_chain(directory, chance):
    """A command and a chain of ours in the table that it is about."""
    command = chance.choice(("iptables", "ip6tables"))
    found = [
        name.split()[1]
        for name in seen(directory).ours[command]
        if name.startswith("*filter flatnet-")
    ]
    return command, chance.choice(sorted(found) or ["flatnet-local"])


def a_set(directory, chance):
    """The name of a set of ours, and its members."""
    sets = seen(directory).ours["sets"]
    return chance.choice(sorted(sets.items()) or [("", [])])


def with_port(directory, chance, command):
    """Give a command with the name of a port of ours in it."""
    for name in some_ports(directory, chance, 1):
        tried(command.format(name))


def some_ports(directory, chance, number):
    """The names of so many ports of ours, of fewer where there are fewer."""
    links = seen(directory).ours["links"]
    ports = sorted(name for name in links if name.startswith("tap"))
    return chance.sample(ports, min(number, len(ports)))


def with_uplink(directory, chance, command):
    """Give a command with the name of an uplink on a bridge of ours in it."""
    uplinks = sorted(seen(directory).ours["uplinks"])
    if uplinks:
        tried(command.format(chance.choice(uplinks)))
