"""A whole plan on a host: order, and what one broken part costs."""

import os
import socket
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from flatnet.apply import channel, host
from flatnet.apply.filter.connections import conntrack
from flatnet.apply.filter.connections.owed_cuts import EVERYTHING, NOTHING
from flatnet.apply.filter.guard import peers
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.iptables import firewall
from flatnet.apply.filter.iptables.revoked_access import filtered_addresses
from flatnet.apply.host import HostPaths, Task, Tools, apply_task
from flatnet.apply.link.found_ports import Finder
from flatnet.apply.worker import Worker
from flatnet.apply.worker_cache import WorkerCache
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import HOST
from flatnet.state.effects import Subject, Surface
from flatnet.state.parts import Delta
from tests.builders import interface, settings, snapshot
from tests.effects import BRIDGE, DHCP, STARTED, cut
from tests.planned import host_plan, parts_of


def tools(paths, session):
    return Tools(paths, session, WorkerCache(session.proven))


def in_session(wanted, paths, *, owed=EVERYTHING):
    with Session() as session:
        return apply_task(
            Task(wanted, owed=owed),
            tools(paths, session),
        ).changes


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
    surfaces = [each.surface for each in made]
    after = surfaces[surfaces.index(Surface.PORT) :]
    assert Surface.FIREWALL in surfaces
    assert Surface.FIREWALL not in after
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
    again = namespace.call(in_session, wanted, paths, owed=NOTHING)
    assert again.made == ()
    first = namespace.call(in_session, wanted, paths)
    assert first.made == (cut(1),)
    emptied(namespace, directory)


class Flaky:
    """A kernel that does not list connections at first, for a fork."""

    def __init__(self, monkeypatch, failures):
        self._list = conntrack.flows_of
        self._failures = failures
        monkeypatch.setattr(conntrack, "flows_of", self)

    def __call__(self, asking, addresses):
        if self._failures:
            self._failures -= 1
            raise HostSetupError("out of memory")
        return self._list(asking, addresses)


def test_what_could_not_be_cut_is_owed_until_it_is(
    namespace, directory, monkeypatch
):
    """The worker goes on with what the pass before left."""
    options = replace(OPTIONS, allow_same_net_traffic=False)
    wanted = host_plan(ROWS, options, {})
    paths = HostPaths(str(directory))
    namespace.call(in_session, wanted, paths)
    namespace.run(
        "conntrack -I -t 60 -u ASSURED -s 192.0.2.9 -d 10.0.0.2 -p udp "
        "--sport 3 --dport 4"
    )

    def passes():
        Flaky(monkeypatch, 2)
        owed, made = EVERYTHING, []
        with Session() as session:
            for _ in range(4):
                outcome = apply_task(
                    Task(wanted, owed=owed),
                    tools(paths, session),
                )
                owed = outcome.owed
                made.append((owed.addresses, outcome.changes.made))
        return made

    everybody = filtered_addresses(wanted.filter)
    assert namespace.call(passes) == [
        (everybody, ()),
        (everybody, ()),
        (frozenset(), (cut(1),)),
        (frozenset(), ()),
    ]
    emptied(namespace, directory)


def test_an_error_after_rules_were_written_owes_too(
    namespace, directory, monkeypatch
):
    options = replace(OPTIONS, allow_same_net_traffic=False)
    wanted = host_plan(ROWS, options, {})
    paths = HostPaths(str(directory))

    def failing(*arguments, **fields):
        firewall.apply_firewall(*arguments, **fields)
        raise ValueError("unforeseen")

    def all_met(_session, _guard, addresses):
        return frozenset(addresses)

    def one():
        monkeypatch.setattr(host, "apply_firewall", failing)
        monkeypatch.setattr(peers, "those", all_met)
        Flaky(monkeypatch, 1)
        with Session() as session:
            return apply_task(Task(wanted), tools(paths, session))

    outcome = namespace.call(one)
    assert outcome.owed.addresses == filtered_addresses(wanted.filter)
    assert ports(namespace) == []
    assert applied(namespace, wanted, directory).failures == ()
    emptied(namespace, directory)


def test_a_pass_that_ends_with_an_error_owes_what_it_did_not_cut(
    namespace, directory, monkeypatch
):
    options = replace(OPTIONS, allow_same_net_traffic=False)
    wanted = Delta(parts_of(ROWS, options).parts)
    request = channel.Request(work=channel.Work(1, wanted))
    flow = "-s 192.0.2.9 -d 10.0.0.2 -p udp --sport 3 --dport 4"

    def cannot_tell(*arguments, **named):
        raise HostSetupError("the kernel lists no devices")

    def passes():
        connection, _ = socket.socketpair()
        _, events = os.pipe()
        with Session() as session:
            worker = Worker(
                connection, HostPaths(str(directory)), session, events
            )
            first = worker._reply(request)
            namespace.run("iptables -F")
            namespace.run(f"conntrack -I -t 60 -u ASSURED {flow}")
            with monkeypatch.context() as patched:
                Flaky(patched, 1)
                patched.setattr(Finder, "ports", cannot_tell)
                second = worker._reply(request)
            return first, second, worker._reply(request)

    first, second, third = namespace.call(passes)
    assert first.changes.failures == ()
    assert "lists no devices" in second.error
    assert third.changes.made == (cut(1),)
    emptied(namespace, directory)


def test_a_port_waits_for_connections_of_its_addresses(
    namespace, directory, monkeypatch
):
    """That it is missing is what a later worker knows it by."""
    one, both = (
        plan(snapshot(interfaces=each))
        for each in (ROWS.interfaces[:1], ROWS.interfaces)
    )
    assert applied(namespace, one, directory).failures == ()
    namespace.run(
        "conntrack -I -t 60 -u ASSURED -s 192.0.2.9 -d 10.0.0.3 -p udp "
        "--sport 3 --dport 4"
    )
    # As its first packet would have done.
    namespace.run("nft add element inet flatnet met4 { 10.0.0.3 }")

    def unlucky():
        Flaky(monkeypatch, 1)
        return in_session(both, HostPaths(str(directory)), owed=NOTHING)

    failures = namespace.call(unlucky).failures
    late = ROWS.interfaces[1].instance_uuid
    assert any(failure.instances == (late,) for failure in failures)
    assert ports(namespace) == ["tapaaaaaa01-aa"]
    again = applied(namespace, both, directory)
    assert again.failures == ()
    assert cut(1) in again.made
    assert ports(namespace) == ["tapaaaaaa01-aa", "tapaaaaaa02-aa"]
    emptied(namespace, directory)


def test_without_dnsmasq_who_needs_it_is_told(namespace, directory):
    broken = replace(
        plan(), dhcp_servers=(replace(plan().dhcp_servers[0], cidr="x"),)
    )
    (failure,) = applied(namespace, broken, directory).failures
    assert failure.subject == DHCP
    assert failure.instances == tuple(
        each.instance_uuid for each in ROWS.interfaces
    )
    emptied(namespace, directory)


def test_a_bridge_that_cannot_be_made_is_told_once(namespace, directory):
    """Not of its server too, which waits for it."""
    namespace.run("ip link add br100 type veth peer name far0")
    (failure,) = applied(namespace, plan(), directory).failures
    assert failure.subject == BRIDGE
    assert "is no bridge" in failure.message
    namespace.run("ip link del br100")
    assert STARTED in applied(namespace, plan(), directory).made
    emptied(namespace, directory)


def test_without_iptables_the_host_is_told(namespace, directory, monkeypatch):
    monkeypatch.setattr("flatnet.apply.command._PATH", "/nowhere")
    failures = applied(namespace, plan(), directory).failures
    rules = [f for f in failures if f.subject == Subject(Surface.FIREWALL)]
    (missing,) = {each.message for each in rules}
    assert "apt-get install iptables" in missing
    assert {(each.key, each.instances) for each in rules} == {(HOST, ())}
