"""Guests keep their way out, whoever forbids a single device to forward."""

import ctypes
from contextlib import contextmanager
from dataclasses import replace

import pytest
from rules import applied
from segment import guest, segment
from test_watch import output

from flatnet.apply.applier_client import Applier, start_applier
from flatnet.apply.link.forwarding import apply_forwarding, left_closed
from flatnet.state.changes import HOST, Changes
from flatnet.state.effects import Subject, Surface
from flatnet.state.filtering import Forwarding
from flatnet.state.plan import (
    Plan,
)
from tests.builders import settings, snapshot
from tests.effects import opened
from tests.planned import filter_plan, host_plan, parted

OUTSIDE = ("tcp", "192.0.2.9", 80)
ROWS = snapshot(interfaces=(guest(1),))
CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE, MS_BIND = 1 << 14, 1 << 18, 1 << 12
# MS_REMOUNT, MS_BIND, MS_RDONLY.
MS_REMOUNT_READ_ONLY = 1 << 5 | 1 << 12 | 1


@pytest.fixture(scope="module")
def net():
    with segment() as built:
        options = settings(routing_source_ip="", public_interface="ext0")
        applied(built.node, filter_plan(ROWS, options)[0])
        yield built


def planned(**options):
    return host_plan(ROWS, settings(**options), {})


def setting(device, value=None):
    name = f"net.ipv4.conf.{device}.forwarding"
    return (
        ("sysctl", "-n", name)
        if value is None
        else ("sysctl", "-qw", f"{name}={value}")
    )


@pytest.mark.parametrize("device", ["br100", "ext0"])
def test_one_device_that_was_closed_is_opened(net, device):
    plan = planned(public_interface="ext0")
    net.node.run(*setting(device, 0))
    assert net.node.run("sysctl", "-n", "net.ipv4.ip_forward") == "1\n"
    assert net.guests[1].reaches(OUTSIDE) == {}
    changes = net.node.call(apply_forwarding, plan)
    assert changes == Changes(made=(opened(device),))
    assert net.guests[1].reaches(OUTSIDE) == {OUTSIDE: "open"}
    assert net.node.call(apply_forwarding, plan) == Changes()


def test_the_devices_of_default_routes_forward_where_all_do(net):
    net.node.run("ip route add default via 192.0.2.9")
    for each in ("ext0", "up0"):
        net.node.run(*setting(each, 0))
    try:
        named = planned(forward_bridge_interface=("eth7",))
        assert net.node.call(apply_forwarding, named) == Changes()
        assert net.node.call(apply_forwarding, planned()).made == (
            opened("ext0"),
        )
        # What is neither named nor leads outside is the admin's.
        assert net.node.run(*setting("up0")) == "0\n"
    finally:
        net.node.run("ip route del default")


def test_a_value_that_cannot_be_set_is_told_and_shuts_nobody(namespace):
    namespace.run("ip link add br100 type bridge")
    namespace.run(*setting("br100", 0))
    changes = namespace.call(apply_read_only, planned())
    (only,) = changes.failures
    assert only.subject == Subject(Surface.FORWARDING, "br100")
    assert only.message == (
        "guests cannot reach the outside, for it cannot be set to 1: "
        "Read-only file system"
    )
    assert (only.key, only.instances) == (HOST, ())
    assert left_closed(changes) == {"br100"}


def apply_read_only(plan):
    """Apply where /proc/sys is read-only, as in many containers."""
    libc = ctypes.CDLL(None)
    assert libc.unshare(CLONE_NEWNS) == 0
    assert libc.mount(b"none", b"/", None, MS_PRIVATE | MS_REC, None) == 0
    here = b"/proc/sys"
    assert libc.mount(here, here, None, MS_BIND, None) == 0
    assert libc.mount(b"none", here, None, MS_REMOUNT_READ_ONLY, None) == 0
    return apply_forwarding(plan)


def test_templates_are_never_written(namespace):
    plan = Plan("node1", forwarding=Forwarding(("all", "default", "eth7")))
    assert namespace.call(apply_forwarding, plan) == Changes()
    assert namespace.run(*setting("default")) == "0\n"


@contextmanager
def serving(directory):
    started = start_applier(
        networks_path=str(directory), dnsmasq_config_file="", top_regex=""
    )
    asked = Applier(started)
    try:
        yield asked
    finally:
        asked.close()


def test_who_closes_a_device_or_brings_one_is_noticed(namespace, tmp_path):
    plan = replace(planned(public_interface="ext0"), dhcp_servers=())
    forbid = "sysctl -qw net.ipv4.conf.{}.forwarding=0"

    def watched():
        with serving(tmp_path) as asked:
            assert asked.apply(parted(plan)).failures == ()
            output(forbid.format("br100"))
            assert asked.wait_for_event()
            made = [asked.apply(parted(plan)).made]
            output("sysctl -qw net.ipv4.conf.default.forwarding=0")
            output("ip link add ext0 type veth peer name far0")
            assert asked.wait_for_event()
            made.append(asked.apply(parted(plan)).made)
            # It wakes no more: nothing is left to be done.
            assert asked.apply(parted(plan)).made == ()
            return made

    assert namespace.call(watched) == [
        (opened("br100"),),
        (opened("ext0"),),
    ]
