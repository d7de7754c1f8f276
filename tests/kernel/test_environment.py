"""Programs are found whatever environment the daemon was started with."""

import os

import pytest
from test_applier import with_applier

from flatnet.apply.link.sysctl import apply_sysctls
from flatnet.state.plan import Plan
from tests.builders import interface, settings, snapshot
from tests.effects import STARTED
from tests.planned import host_plan, parted

ROWS = snapshot(interfaces=(interface(1),))


@pytest.mark.parametrize("environment", [{"PATH": "/usr/bin:/bin"}, {}])
def test_a_whole_pass(namespace, tmp_path, environment):
    for each in (tmp_path, *tmp_path.parents):
        if str(each).startswith("/tmp/"):
            each.chmod(each.stat().st_mode | 0o055)
    plan = host_plan(
        ROWS, settings(allow_same_net_traffic=False, routing_source_ip=""), {}
    )
    names = tuple(port.name for port in plan.bridges[0].ports)
    nothing = Plan("node1", gone=names)
    # Where the tree lies is the test's own matter.
    kept = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}

    def applied():
        os.environ.clear()
        os.environ.update(environment | kept)
        return with_applier(
            lambda applier, _: [
                applier.apply(parted(each)) for each in (plan, nothing)
            ],
            tmp_path,
        )

    first, last = namespace.call(applied)
    assert (first.failures, first.warnings) == ((), ())
    assert STARTED in first.made
    assert last.failures == ()


def test_modules_are_asked_for(monkeypatch, tmp_path):
    """`modprobe` lies in /sbin, which an emptier PATH does not name."""
    asked = tmp_path / "asked"
    tool = tmp_path / "modprobe"
    tool.write_text(f"#!/bin/sh\necho $* > {asked}\n")
    tool.chmod(0o755)
    monkeypatch.setattr("flatnet.apply.command._PATH", str(tmp_path))
    monkeypatch.setenv("PATH", "/bin")
    monkeypatch.setattr(
        "flatnet.apply.link.sysctl.DIRECTORY", tmp_path / "sys"
    )
    setting = ("net.bridge.bridge-nf-call-iptables", "1")
    changes = apply_sysctls(Plan("node1", sysctls=(setting,)))
    assert asked.read_text() == "br_netfilter\n"
    assert "modprobe br_netfilter" in changes.failures[0].message
