"""Connections that could not be cut are owed to their address alone."""

import pytest
from forced import OPTIONS, up
from reconciled import host, suffers

from flatnet.apply.filter.connections import conntrack
from flatnet.apply.filter.guard import peers
from flatnet.exceptions import HostSetupError
from flatnet.plan.port import port_name
from flatnet.state.rows import SecurityGroup, SecurityRule
from flatnet.state.scope import EVERYTHING
from tests.builders import interface, network, snapshot

RULE = SecurityRule(1, "udp", 5000, 5000, "0.0.0.0/0")
ANOTHER = SecurityRule(2, "udp", 5001, 5001, "0.0.0.0/0")
OTHER, X, Y = (
    interface(number, security_group_ids=(group,))
    for number, group in ((1, 1), (2, 2), (3, 1))
)


def rows(*interfaces, shut=()):
    """Groups let in UDP to port 5000, or to another where they are `shut`."""
    groups = {each for one in interfaces for each in one.security_group_ids}
    return snapshot(
        networks=(network(enable_dhcp=False),),
        interfaces=interfaces,
        security_groups=tuple(
            SecurityGroup(each, "web", (ANOTHER if each in shut else RULE,))
            for each in sorted(groups)
        ),
    )


class Refusing:
    """A kernel that does not delete connections of some addresses."""

    def __init__(self, monkeypatch):
        self.addresses = set()
        self._forget = conntrack.forget
        monkeypatch.setattr(conntrack, "forget", self)

    def __call__(self, asking, flow):
        if flow.target in self.addresses:
            raise OSError(12, "out of memory")
        return self._forget(asking, flow)


@pytest.fixture
def refusing(monkeypatch):
    def all_met(_session, _guard, addresses):
        return frozenset(addresses)

    monkeypatch.setattr(peers, "those", all_met)
    return Refusing(monkeypatch)


def insert(namespace, interface, port):
    (address,) = interface.addresses
    namespace.run(
        f"conntrack -I -t 600 -u ASSURED -s 192.0.2.9 -d {address} -p udp "
        f"--sport 3 --dport {port}"
    )


def tracked(namespace):
    """The addresses and ports that connections lead to, sorted."""
    lines = namespace.run("conntrack -L -p udp --orig-src 192.0.2.9")
    found = []
    for line in lines.splitlines():
        words = [each.partition("=")[::2] for each in line.split()]
        known = dict(reversed(words))
        found.append((known["dst"], int(known["dport"])))
    return sorted(found)


def told(outcome, *interfaces):
    """What is told of instances, and whether their ports are up."""
    return [
        (suffers(outcome, each), outcome.is_up(port_name(each.uuid)))
        for each in interfaces
    ]


def test_what_is_owed_to_one_has_nobody_else_judged(
    namespace, tmp_path, refusing
):
    """Nor is it lost, nor forgotten, by passes about another."""

    def passes():
        with host(tmp_path, rows(OTHER, X), OPTIONS) as one:
            insert(namespace, OTHER, 5000)
            insert(namespace, X, 5000)
            refusing.addresses.add("10.0.0.3")
            seen = [one.passes(rows(OTHER, X, shut=(2,)), X)]
            # Forbidden all along; nothing has happened to its rules.
            insert(namespace, OTHER, 6000)
            seen += [one.passes(rows(OTHER, X, Y, shut=(2,)), Y)]
            before = tracked(namespace)
            refusing.addresses.clear()
            seen += [one.passes(rows(OTHER, X, Y, shut=(2,)), Y)]
            shown = [
                (each.changes.failures, told(each, OTHER, X, Y))
                for each in seen
            ]
            return shown, before, tracked(namespace)

    shown, before, now = namespace.call(passes)
    for failures, (other, x, _) in shown[:2]:
        (only,) = failures
        assert str(only.subject) == "conntrack 10.0.0.3"
        assert only.instances == (X.instance_uuid,)
        assert "out of memory" in x[0]
        assert other == ("", True)
    assert shown[1][1][2] == ("", True)
    assert shown[2] == ((), [("", True)] * 3)
    kept = [("10.0.0.2", 5000), ("10.0.0.2", 6000)]
    assert before == [*kept, ("10.0.0.3", 5000)]
    assert now == kept


def test_who_inherits_connections_waits_for_them_alone(
    namespace, tmp_path, refusing
):
    """He has no port, and gets one with the pass that cuts them."""

    def passes():
        with host(tmp_path, rows(OTHER), OPTIONS) as one:
            insert(namespace, X, 5000)
            insert(namespace, Y, 5000)
            refusing.addresses.add("10.0.0.3")
            first = one.passes(rows(OTHER, X), X)
            second = one.passes(rows(OTHER, X, Y), Y)
            left = tracked(namespace)
            refusing.addresses.clear()
            third = one.passes(rows(OTHER, X, Y), Y)
            shown = [told(each, OTHER, X, Y) for each in (first, second)]
            return shown, left, told(third, OTHER, X, Y), tracked(namespace)

    (first, second), left, third, now = namespace.call(passes)
    for other, (text, is_up), _ in (first, second):
        assert other == ("", True)
        assert "could not be cut" in text
        assert not is_up
    assert second[2] == ("", True)
    assert left == [("10.0.0.3", 5000)]
    assert (third, now) == ([("", True)] * 3, [])
    assert len(up(namespace)) == 3


def test_where_nothing_is_listed_only_those_concerned_suffer(
    namespace, tmp_path, refusing, monkeypatch
):
    def unlucky(asking, addresses):
        raise HostSetupError("no buffer space")

    def passes():
        with host(tmp_path, rows(OTHER, X), OPTIONS) as one:
            with monkeypatch.context() as patched:
                patched.setattr(conntrack, "flows_of", unlucky)
                first = one.passes(rows(OTHER, X, shut=(2,)), X)
                # Nobody else's connections are looked for.
                second = one.passes(rows(OTHER, X, Y, shut=(2,)), Y)
            third = one.passes(rows(OTHER, X, Y, shut=(2,)), Y)
            return [
                (each.changes.failures, told(each, OTHER, X, Y))
                for each in (first, second, third)
            ]

    first, second, third = namespace.call(passes)
    assert [f.instances for f in first[0]] == [(X.instance_uuid,)]
    assert {u for f in second[0] for u in f.instances} == {
        X.instance_uuid,
        Y.instance_uuid,
    }
    assert second[1][0] == ("", True)
    assert not second[1][2][1]
    assert third == ((), [("", True)] * 3)


def test_a_worker_that_died_may_have_owed_everybody_something(
    namespace, tmp_path, refusing
):
    def passes():
        with host(tmp_path, rows(OTHER, X), OPTIONS) as one:
            insert(namespace, X, 5000)
            refusing.addresses.add("10.0.0.3")
            one.passes(rows(OTHER, X, shut=(2,)), X)
            insert(namespace, OTHER, 6000)
            refusing.addresses.clear()
            one.applier.die()
            last = one.passes(rows(OTHER, X, shut=(2,)), X)
            return last.changes.failures, tracked(namespace)

    assert namespace.call(passes) == ((), [])


@pytest.mark.parametrize(
    ("meddle", "is_judged"),
    [("ip link set stranger0 master br100", False), ("iptables -F", True)],
)
def test_what_somebody_did_to_rules_is_judged_and_a_new_port_is_not(
    namespace, tmp_path, refusing, meddle, is_judged
):
    def passes():
        namespace.run("ip link add stranger0 type veth peer name far0")
        with host(tmp_path, rows(OTHER), OPTIONS) as one:
            insert(namespace, OTHER, 6000)
            namespace.run(meddle)
            one.applier.look()
            outcome = one.reconciler.run_pass(EVERYTHING)
            return outcome.changes.failures, tracked(namespace)

    left = [] if is_judged else [("10.0.0.2", 6000)]
    assert namespace.call(passes) == ((), left)
