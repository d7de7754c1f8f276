"""A pass about no port takes the steps whose surface is another, and no more.

What others do ends that, as far as events, counts and stamps tell of it; of
the rest, probes do.
"""

import subprocess
from dataclasses import replace

import pytest
from filtered import rule
from test_host import directory, emptied  # noqa: F401

from flatnet.apply import host
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.host import HostPaths, Task, Tools, apply_task
from flatnet.apply.link.devices import Devices
from flatnet.apply.probes import Probes
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.rows import SecurityGroup
from tests.builders import interface, settings, snapshot
from tests.planned import host_plan, in_groups
from tests.waiting import eventually

STEPS = (
    "apply_sysctls",
    "apply_firewall",
    "apply_guard",
    "apply_ways",
    "apply_forwarding",
    "apply_dhcp",
)
OPTIONS = settings(allow_same_net_traffic=False, routing_source_ip="")
GROUPS = (SecurityGroup(1, "one", (rule(group_id=1),)),)
ROWS = snapshot(
    interfaces=(interface(1, security_group_ids=(1,)),),
    security_groups=GROUPS,
)
PLAN = host_plan(ROWS, OPTIONS)
# A route that takes a part of the network away needs a device first.
BESIDE = (
    "ip link add beside type veth peer name far; "
    "ip link set beside up; ip link set far up"
)


def done(command):
    subprocess.run(["sh", "-c", command], check=True)


class Host:
    """Passes of one process over its host, and the steps they took."""

    def __init__(self, session, files):
        self.known, self.devices = WorkerCache(session.proven), Devices()
        self._tools = Tools(
            HostPaths(str(files)), session, self.known, self.devices
        )
        self.taken = []

    def a_pass(self, wanted=PLAN, ports=frozenset()):
        """One about no port, unless it is about some or all."""
        self.taken = []
        changes = apply_task(Task(wanted, ports=ports), self._tools).changes
        assert changes.failures == ()
        return changes

    def step_inputs(self, wanted=PLAN):
        """Whether a pass has no step to take."""
        return self.a_pass(wanted).made == () and not self.taken

    def note(self, name, step):
        def noted(*arguments, **named):
            self.taken.append(name)
            return step(*arguments, **named)

        return noted


@pytest.fixture
def resting(namespace, directory, monkeypatch):  # noqa: F811
    """Do something in a namespace, with a host that needs nothing."""

    def within(does):
        with Session() as session:
            done(BESIDE)
            here = Host(session, directory)
            for name in STEPS:
                step = here.note(name, getattr(host, name))
                monkeypatch.setattr(host, name, step)
            here.a_pass(ports=None)
            eventually(here.step_inputs)
            does(here)
            here.devices.close()
            done("ip link delete beside")

    yield lambda does: namespace.call(within, does)
    emptied(namespace, directory)


@pytest.mark.parametrize(
    ("meddling", "steps"),
    [
        ("ip link set br100 down", {"apply_ways"}),
        ("ip link set br100 mtu 1400", {"apply_ways"}),
        ("ip address flush dev br100", {"apply_ways"}),
        ("iptables -F flatnet-FORWARD", {"apply_firewall", "apply_guard"}),
        ("nft add table inet other", {"apply_firewall", "apply_guard"}),
        ("ip link set beside master br100", {"apply_guard"}),
        ("ip route add 10.0.0.128/25 dev beside", {"apply_ways"}),
        ("ip route add default dev beside", {"apply_forwarding"}),
        ("kill $(cat {files}/flatnet-br100.pid)", {"apply_dhcp"}),
        ("echo >> {files}/flatnet-br100.hosts", {"apply_dhcp"}),
        ("chmod 600 {files}/flatnet-br100.names", {"apply_dhcp"}),
        ("rm {files}/flatnet-br100.leases", {"apply_dhcp"}),
        ("touch {files}/flatnet-br100.reload", {"apply_dhcp"}),
        ("touch {files}/.flatnet-br100.hosts.1", {"apply_dhcp"}),
    ],
)
def test_what_others_do_is_looked_at(resting, directory, meddling, steps):  # noqa: F811
    def meddled(here):
        command = meddling.replace("{files}", str(directory))
        done(command)
        # Who is killed may take a moment to end.
        eventually(lambda: here.a_pass() and steps <= set(here.taken))
        eventually(here.step_inputs)
        if "/25" in meddling:
            assert "overlaps" in str(here.a_pass().warnings)

    resting(meddled)


def test_a_member_that_comes_is_about_its_sets_alone(resting):
    def came(here):
        for members in (("10.0.0.7",), ("10.0.0.7", "10.0.0.8"), ()):
            rows = replace(ROWS, members=in_groups({1: members}))
            assert here.a_pass(host_plan(rows, OPTIONS)).made
            assert here.taken == ["apply_firewall"]

    resting(came)


def test_a_set_that_is_emptied_is_seen_by_a_probe(resting):
    def flushed(here):
        done("ipset flush")
        assert Probes(here.known, here.devices).changed_rules()
        assert here.a_pass().made
        eventually(here.step_inputs)

    resting(flushed)


def test_all_steps_are_taken_for_ports_and_by_whole_passes(resting):
    def looked(here):
        for ports in (None, frozenset(PLAN.ports)):
            here.a_pass(ports=ports)
            assert set(here.taken) == {*STEPS}

    resting(looked)
