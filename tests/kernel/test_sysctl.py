"""Kernel settings, written and read back in a namespace."""

from pathlib import Path

import pytest

from flatnet.apply import command
from flatnet.apply.link import sysctl
from flatnet.state.changes import HOST, Changes, Failure
from flatnet.state.effects import Subject, Surface
from flatnet.state.plan import Bridge, Plan, Port
from tests.effects import was_set

UUID = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
FORWARD = "net.ipv4.ip_forward"
CALL = "net.bridge.bridge-nf-call-iptables"


def plan(*pairs):
    port = Port("tap1", "tap", "fa:16:3e:00:00:01", UUID)
    bridge = Bridge(
        "br100", network_uuid="n", mac="02:1", mtu=1500, ports=(port,)
    )
    return Plan("node1", sysctls=pairs, bridges=(bridge,))


def value(namespace, name):
    return namespace.run("sysctl", "-n", name).strip()


def test_settings_are_set_once_and_in_this_namespace_only(namespaces):
    here, there = namespaces(), namespaces()
    here.run("sysctl", "-w", f"{CALL}=0")
    wanted = plan((CALL, "1"), (FORWARD, "1"))
    changes = here.call(sysctl.apply_sysctls, wanted)
    assert changes == Changes(made=(was_set(CALL, "1"), was_set(FORWARD, "1")))
    assert here.call(sysctl.apply_sysctls, wanted) == Changes()
    assert (value(here, CALL), value(here, FORWARD)) == ("1", "1")
    assert value(there, FORWARD) == "0"


def test_a_setting_of_a_bridge(namespace):
    namespace.run("ip link add br100 type bridge")
    name = "net.ipv4.conf.br100.rp_filter"
    namespace.run("sysctl", "-w", f"{name}=0")
    changes = namespace.call(sysctl.apply_sysctls, plan((name, "2")))
    assert changes.made == (was_set(name, "2"),)
    assert value(namespace, name) == "2"


@pytest.mark.parametrize(
    "name",
    [
        "kernel.core_pattern",
        "net.ipv4.conf.all.rp_filter",
        "net.ipv4.conf.br100/../all.rp_filter",
        "net.ipv4.ip_forward\n",
        "net.bridge.bridge-nf-filter-../../../kernel/panic",
    ],
)
def test_other_settings_are_refused(namespace, name):
    changes = namespace.call(sysctl.apply_sysctls, plan((name, "1")))
    assert changes.made == ()
    assert changes.failures == (
        Failure(
            Subject(Surface.SYSCTL, name),
            "not a setting that flatnet may change",
            key=HOST,
        ),
    )


def test_a_value_that_the_kernel_refuses(namespace):
    changes = namespace.call(sysctl.apply_sysctls, plan((FORWARD, "yes")))
    (failure,) = changes.failures
    assert failure.subject == Subject(Surface.SYSCTL, FORWARD)
    assert failure.key == HOST
    assert value(namespace, FORWARD) == "0"


def test_one_bad_setting_does_not_stop_the_rest(namespace):
    changes = namespace.call(
        sysctl.apply_sysctls, plan(("kernel.x", "1"), (FORWARD, "1"))
    )
    assert len(changes.failures) == 1
    assert value(namespace, FORWARD) == "1"


def test_isolation_without_br_netfilter_is_a_failure(monkeypatch, tmp_path):
    monkeypatch.setattr(sysctl, "DIRECTORY", tmp_path)
    monkeypatch.setattr(command, "_PATH", str(tmp_path))
    (failure,) = sysctl.apply_sysctls(plan((CALL, "1"))).failures
    assert "br_netfilter is missing" in failure.message
    assert failure.key == HOST
    assert list(Path(tmp_path).iterdir()) == []


def test_a_value_that_does_not_stay_is_a_failure(monkeypatch, tmp_path):
    file = tmp_path / "net/ipv4/ip_forward"
    file.parent.mkdir(parents=True)
    file.symlink_to("/dev/null")
    monkeypatch.setattr(sysctl, "DIRECTORY", tmp_path)
    (failure,) = sysctl.apply_sysctls(plan((FORWARD, "1"))).failures
    assert failure.message == "1 was written, but it reads nothing"
