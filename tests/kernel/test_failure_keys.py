"""What failed of one key, while passes about other keys go on."""

import shutil
import tempfile
from pathlib import Path

import pytest
from forced import BOTH, OPTIONS, PORTS, applier, up
from reconciled import host, suffers

from flatnet.apply import command
from flatnet.apply import host as appliers
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.host import HostPaths, Task, Tools, apply_task
from flatnet.apply.worker_cache import WorkerCache
from flatnet.plan.port import port_name
from flatnet.state.changes import HOST, Failure, group_key
from flatnet.state.effects import Subject, Surface
from flatnet.state.rows import SecurityGroup, SecurityRule
from tests.builders import interface, network, snapshot
from tests.effects import port

# Refuses, while `stop` is there, a transaction that has its text.
SCRIPT = """#!/bin/sh
text={directory}/text.$$
cat > $text
if [ -e {stop} ] && grep -qF -e "$(cat {stop})" $text; then
    echo "no such match" >&2
    exit 2
fi
exec {program} {name} "$@" < $text
"""
ANYTHING, ODD = "COMMIT", "--dport 4242"
OF_GROUPS = (
    SecurityGroup(1, "odd", (SecurityRule(1, "tcp", 4242, 4242, "::/0"),)),
    SecurityGroup(2, "web", (SecurityRule(2, "tcp", 80, 80, "0.0.0.0/0"),)),
    SecurityGroup(3, "ssh", (SecurityRule(3, "tcp", 22, 22, "0.0.0.0/0"),)),
)
FIRST, X, Y = (
    interface(number, security_group_ids=(group,))
    for number, group in ((1, 3), (2, 1), (3, 2))
)


def rows(*interfaces):
    groups = {each for one in interfaces for each in one.security_group_ids}
    return snapshot(
        networks=(network(enable_dhcp=False),),
        interfaces=interfaces,
        security_groups=tuple(g for g in OF_GROUPS if g.id in groups),
    )


@pytest.fixture
def stop(monkeypatch):
    """A file: what it says is refused by the iptables that is there."""
    with tempfile.TemporaryDirectory(prefix="fnt-") as name:
        directory = Path(name)
        program = shutil.which("xtables-nft-multi")
        for tool in ("iptables", "ip6tables"):
            script = directory / f"{tool}-restore"
            script.write_text(
                SCRIPT.format(
                    directory=directory,
                    stop=directory / "stop",
                    program=program,
                    name=script.name,
                )
            )
            script.chmod(0o755)
            (directory / f"{tool}-save").symlink_to(program)
        path = f"{directory}:{command._PATH}"
        monkeypatch.setattr(command, "_PATH", path)
        yield directory / "stop"


def shown(outcome, *interfaces):
    """What is told of instances, and whether their ports are up."""
    return [
        (suffers(outcome, each), outcome.is_up(port_name(each.uuid)))
        for each in interfaces
    ]


def of_host(failures):
    """Assert that these are the host's alone; return what failed."""
    assert {(f.key, f.instances) for f in failures} == {(HOST, ())}
    subjects = [str(each.subject) for each in failures]
    assert len(subjects) == len(set(subjects))
    return subjects


def test_a_step_of_the_host_is_told_once_and_everybody_waits_for_it(
    namespace, tmp_path, stop
):
    def passes():
        with host(tmp_path, rows(), OPTIONS) as one:
            stop.write_text(ANYTHING)
            outcomes = [one.passes(rows(X), X)]
            outcomes.append(one.passes(rows(X, Y), Y))
            # Nobody asks about X: who suffers is looked at by each pass.
            stop.unlink()
            outcomes.append(one.passes(rows(X, Y), Y))
            return [
                (each.changes.failures, shown(each, X, Y), each.ports)
                for each in outcomes
            ]

    first, second, third = namespace.call(passes)
    for failures, told, ports in (first, second):
        assert "firewall iptables filter" in of_host(failures)
        assert [is_up for _, is_up in told] == [False, False]
        assert all("no such match" in text for text, _ in told)
        assert "no such match" in ports[port_name(X.uuid)].reason
    assert third[:2] == ((), [("", True)] * 2)
    assert len(up(namespace)) == 2


def test_whose_filter_is_in_force_stays_up_whatever_the_host_lacks(
    namespace, tmp_path, stop
):
    def passes():
        with host(tmp_path, rows(FIRST), OPTIONS) as one:
            stop.write_text(ANYTHING)
            outcome = one.passes(rows(FIRST, Y), Y)
            return (
                outcome.changes.failures,
                outcome.ports,
                shown(outcome, FIRST, Y),
            )

    failures, ports, told = namespace.call(passes)
    assert "firewall iptables filter" in of_host(failures)
    (text, is_up), (other, _) = told
    assert is_up
    assert text == other != ""
    # Once is enough: no row of a port is written for it.
    assert ports[port_name(FIRST.uuid)].reason is None


def test_a_group_that_cannot_be_put_in_force_is_its_members_alone(
    namespace, tmp_path, stop
):
    def passes():
        with host(tmp_path, rows(FIRST), OPTIONS) as one:
            stop.write_text(ODD)
            outcomes = [one.passes(rows(FIRST, X), X)]
            outcomes.append(one.passes(rows(FIRST, X, Y), Y))
            chain = namespace.run("ip6tables -S flatnet-g-1")
            stop.unlink()
            outcomes.append(one.passes(rows(FIRST, X, Y), Y))
            return chain, [
                (each.changes.failures, shown(each, FIRST, X, Y))
                for each in outcomes
            ]

    chain, (first, second, third) = namespace.call(passes)
    for failures, told in (first, second):
        (only,) = failures
        assert (only.key, only.instances) == (group_key(1), (X.instance_uuid,))
        assert "lets nothing in" in told[1][0]
        assert [text for text, _ in (told[0], told[2])] == ["", ""]
        # It lets nothing in, so that nobody's port need be shut.
        assert told[1][1]
    assert chain.splitlines() == ["-N flatnet-g-1"]
    assert third == ((), [("", True)] * 3)
    assert "4242" in namespace.run("ip6tables -S flatnet-g-1")


def test_a_step_that_dies_is_the_hosts_and_what_is_in_force_stays_up(
    namespace, tmp_path, monkeypatch
):
    def passes():
        with host(tmp_path, rows(FIRST), OPTIONS) as one:
            with monkeypatch.context() as patched:
                patched.setattr(appliers, "apply_guard", unforeseen)
                broken = one.passes(rows(FIRST, X), X)
            (only,) = broken.changes.failures
            told = shown(broken, FIRST, X)
            return only, told, shown(one.passes(rows(FIRST, X)), FIRST, X)

    only, told, after = namespace.call(passes)
    assert (only.key, only.instances) == (HOST, ())
    assert [is_up for _, is_up in told] == [True, False]
    assert all("unforeseen" in text for text, _ in told)
    assert after == [("", True)] * 2


def unforeseen(*arguments, **fields):
    raise ValueError("unforeseen")


def test_a_group_that_no_rules_are_made_of_shuts_nobody(namespace, tmp_path):
    odd = Failure(
        Subject(Surface.GROUP, "1"),
        "it lets in nothing",
        BOTH.instances[:1],
        group_key(1),
    )
    bad = Failure(port(PORTS[1]), "mend its row", BOTH.instances[1:])

    def once():
        with Session() as session:
            tools = Tools(
                HostPaths(str(tmp_path)), session, WorkerCache(session.proven)
            )
            return apply_task(Task(BOTH, unfit=(odd, bad)), tools).changes

    assert namespace.call(once).failures == (odd, bad)
    assert up(namespace) == PORTS[:1]


def test_a_group_whose_set_is_another_lets_nothing_in_and_shuts_nobody(
    namespace, tmp_path
):
    namespace.run("ipset create flatnet-g4-7 hash:ip")
    namespace.run("ipset add flatnet-g4-7 10.0.0.77")
    apply = applier(namespace, tmp_path)
    (only,) = apply(BOTH).failures
    assert (only.key, only.instances) == (group_key(1), BOTH.instances)
    assert up(namespace) == PORTS[:2]
    assert "-A" not in namespace.run("iptables -S flatnet-g-1")
    namespace.run("ipset destroy flatnet-g4-7")
    assert apply(BOTH).failures == ()
    assert "--match-set flatnet-g4-7" in namespace.run(
        "iptables -S flatnet-g-1"
    )
