"""A start on a host that nobody touched writes nothing."""

import re
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from rules import RULES
from test_watch import output

from flatnet.apply.applier_client import Applier, start_applier
from flatnet.apply.filter.nft_proof import generation
from flatnet.apply.netlink import NETFILTER, KeptSocket
from flatnet.state.effects import Verb
from flatnet.state.rows import SecurityGroup
from tests.builders import interface, network, settings, snapshot
from tests.planned import host_plan, in_groups, parted
from tests.waiting import eventually

SECOND = network(
    id=2,
    uuid="22222222-2222-4222-8222-222222222222",
    label="second",
    cidr="10.1.0.0/24",
    broadcast="10.1.0.255",
    bridge="br200",
    dhcp_start="10.1.0.2",
)
# Each applier writes its number there.
OF_PROCESSES = ("flatnet-applier.lock",)
GUARD = ("bridge", "inet", "arp")
ROWS = snapshot(
    networks=(network(), SECOND),
    interfaces=(
        interface(1, security_group_ids=(1,)),
        interface(2, security_group_ids=(1, 2)),
        interface(3, network_id=2, addresses=("10.1.0.9",)),
    ),
    host_addresses=((1, "10.0.0.1"), (2, "10.1.0.1")),
    security_groups=(
        SecurityGroup(1, "web", RULES),
        SecurityGroup(2, "none", ()),
    ),
    members=in_groups({7: ("10.0.0.9",)}),
)


@pytest.fixture
def directory():
    """A directory that dnsmasq, which is nobody, can enter."""
    with tempfile.TemporaryDirectory(prefix="fnt-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def applied(directory, parts):
    """Start an applier, which is to apply this, and end it; what it did."""
    serving = Applier(
        start_applier(
            networks_path=str(directory), dnsmasq_config_file="", top_regex=""
        )
    )
    try:
        changes = serving.apply(parts)
        assert changes.failures == ()
        return changes.made
    finally:
        serving.close()


def transactions():
    """How often somebody has written nftables, iptables included."""
    asking = KeptSocket(NETFILTER, 5)
    try:
        return generation(asking)
    finally:
        asking.close()


def files(directory):
    """All that a write of a file would change."""
    found = {}
    for path in sorted(directory.iterdir()):
        state = path.stat()
        if path.name in OF_PROCESSES:
            continue
        found[path.name] = state.st_ino, state.st_mtime_ns, state.st_size
    return found


def announced(name):
    """Make a device of that name, and take it away."""
    output(f"ip link add {name} type bridge")
    output(f"ip link delete {name}")


@contextmanager
def monitored(path):
    """Write down what happens to devices, addresses and routes."""
    with path.open("wb") as stream:
        monitor = subprocess.Popen(
            ["ip", "-o", "monitor", "link", "address", "route"], stdout=stream
        )
    try:
        # It listens once it has heard of something.
        eventually(lambda: announced("begin") or path.stat().st_size)
        yield
        announced("end")
        eventually(lambda: "end:" in path.read_text())
    finally:
        monitor.kill()
        monitor.wait()


def happened(path):
    """What was written down between the announcements."""
    lines = path.read_text().splitlines()
    return [each for each in lines if not re.search("begin:|end:", each)]


def sets():
    return output("ipset save")


@pytest.mark.parametrize("same_network", [True, False])
@pytest.mark.parametrize("owned", [True, False])
def test_a_start_on_an_untouched_host_writes_nothing(
    namespace, directory, tmp_path, same_network, owned
):
    """Save that a new applier owns tables, and has servers read again."""
    options = settings(
        allow_same_net_traffic=same_network,
        routing_source_ip="192.0.2.1",
        public_interface="ext0",
    )
    parts = parted(host_plan(ROWS, options))
    log = tmp_path / "log"
    if not owned:
        for family in GUARD:
            namespace.run(f"nft add table {family} flatnet")

    def start():
        before = transactions(), files(directory), sets()
        with monitored(log):
            made = applied(directory, parts)
        count, *rest = transactions(), files(directory), sets()
        assert rest == list(before[1:])
        assert happened(log) == []
        assert {effect.verb for effect in made} == {Verb.RELOADED}
        return count - before[0]

    def steps():
        assert applied(directory, parts)
        for name in ("flatnet-g-1", "flatnet-POSTROUTING"):
            assert name in output("iptables-save")
        return [start() for _ in range(2)]

    counts = namespace.call(steps)
    # Not every kernel has owners.
    assert counts in ([[0, 0], [1, 1]] if owned else [[0, 0]])
