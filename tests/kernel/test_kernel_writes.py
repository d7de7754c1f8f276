"""What the benchmark counts as written to a kernel."""

import subprocess

import pytest

from flatnet.lab.bench.kernel_writes import Kernel

NOTHING = {"nftables": 0, "links": 0, "addresses": 0, "routes": 0, "sets": 0}


def run(*commands):
    for command in commands:
        subprocess.run(command.split(), check=True, capture_output=True)


def counted(namespace, before, *commands):
    """What is counted for commands, `before` having been run by then."""

    def steps():
        run(*before)
        kernel = Kernel()
        run(*commands)
        return kernel.changes({}), kernel.changes({})

    found, again = namespace.call(steps)
    assert again == NOTHING
    return {name: count for name, count in found.items() if count}


def test_reading_is_no_write(namespace):
    reads = ("nft list ruleset", "ip link", "ip route", "ipset list")
    assert counted(namespace, (), *reads) == {}


@pytest.mark.parametrize(
    ("before", "command", "kinds"),
    [
        ((), "nft add table inet t", {"nftables"}),
        ((), "iptables -A INPUT -j ACCEPT", {"nftables"}),
        ((), "ip link add d0 type bridge", {"links"}),
        (
            ("ip link add d0 type bridge",),
            "ip addr add 192.0.2.1/24 dev d0",
            {"addresses"},
        ),
        (
            ("ip link add d0 type bridge", "ip link set d0 up"),
            "ip route add 198.51.100.0/24 dev d0",
            {"routes"},
        ),
        (("ipset create s hash:net",), "ipset add s 192.0.2.1", {"sets"}),
        (
            ("ipset create s hash:net", "ipset create t hash:net"),
            "ipset swap s t",
            {"sets"},
        ),
    ],
)
def test_what_is_a_write(namespace, before, command, kinds):
    assert kinds <= counted(namespace, before, command).keys()
