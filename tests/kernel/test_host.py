"""A whole plan on a host: order, and what one broken part costs."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from flatnet.apply.host import HostPaths, apply_plan
from flatnet.apply.libnftables import Session
from flatnet.plan.host import host_plan
from tests.builders import interface, settings, snapshot


def in_session(wanted, paths, **fields):
    with Session() as session:
        return apply_plan(wanted, paths, session, **fields)


@pytest.fixture
def directory():
    """A directory that dnsmasq, which is nobody, can enter."""
    with tempfile.TemporaryDirectory(prefix="fnt-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


ROWS = snapshot(interfaces=(interface(1), interface(2)))
OPTIONS = settings(dhcp_domain="novalocal", public_interface="lo")


def plan(rows=ROWS):
    return host_plan(rows, OPTIONS, {})


def applied(namespace, wanted, directory):
    return namespace.call(in_session, wanted, HostPaths(str(directory)))


def ports(namespace):
    links = namespace.json("ip", "-j", "link")
    return sorted(
        link["ifname"] for link in links if link.get("master") == "br100"
    )


def emptied(namespace, directory):
    """Stop what lives on: the namespace would be gone under dnsmasq."""
    nothing = host_plan(snapshot(networks=(), host_addresses=()), OPTIONS, {})
    assert applied(namespace, nothing, directory).failures == ()
    assert ports(namespace) == []


def test_a_host_is_brought_to_its_plan_once(namespace, directory):
    first = applied(namespace, plan(), directory)
    assert first.failures == ()
    assert ports(namespace) == ["tapaaaaaa01-aa", "tapaaaaaa02-aa"]
    assert applied(namespace, plan(), directory).made == ()
    emptied(namespace, directory)


def test_rules_are_written_before_a_port_comes_up(namespace, directory):
    made = applied(namespace, plan(), directory).made
    rules = [n for n, line in enumerate(made) if "tables" in line]
    first_port = min(n for n, line in enumerate(made) if "port tap" in line)
    assert rules
    assert max(rules) < first_port
    emptied(namespace, directory)


def test_what_a_dead_pass_left_uncut_is_cut_by_the_first(namespace, directory):
    options = replace(OPTIONS, allow_same_net_traffic=False)
    wanted = host_plan(ROWS, options, {})
    paths = HostPaths(str(directory))
    namespace.call(in_session, wanted, paths)
    namespace.run(
        "conntrack -I -t 60 -u ASSURED -s 192.0.2.9 -d 10.0.0.2 -p udp "
        "--sport 3 --dport 4"
    )
    again = namespace.call(in_session, wanted, paths, judged_before=True)
    assert again.made == ()
    first = namespace.call(in_session, wanted, paths)
    assert first.made == ("conntrack: cut 1 connections",)
    emptied(namespace, directory)


def test_without_dnsmasq_who_needs_it_is_told(namespace, directory):
    broken = replace(
        plan(), dhcp_servers=(replace(plan().dhcp_servers[0], cidr="x"),)
    )
    (failure,) = applied(namespace, broken, directory).failures
    assert failure.subject == "dhcp br100"
    assert failure.instances == tuple(
        each.instance_uuid for each in ROWS.interfaces
    )
    emptied(namespace, directory)


def test_without_iptables_everybody_is_told(namespace, directory, monkeypatch):
    monkeypatch.setattr("flatnet.apply.command._PATH", "/nowhere")
    failures = applied(namespace, plan(), directory).failures
    (missing,) = {
        each.message for each in failures if each.subject == "firewall"
    }
    assert "apt-get install iptables" in missing
    for failure in failures:
        assert len(failure.instances) == 2
