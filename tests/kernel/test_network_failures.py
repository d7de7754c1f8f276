"""What failed of a network, while passes about some of its guests go on."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from reconciled import host, suffers

from flatnet.plan.port import port_name
from flatnet.state.changes import network_key
from tests.builders import interface, network, settings, snapshot
from tests.effects import BRIDGE, DHCP

OPTIONS = settings(dhcp_domain="novalocal", public_interface="lo")
X, Y, Z = (interface(number) for number in (1, 2, 3))
ROWS = snapshot(interfaces=(X, Y))
PORTS = [port_name(each.uuid) for each in (X, Y)]


@pytest.fixture
def directory():
    """A directory; dnsmasq, which is nobody, can enter it at first."""
    with tempfile.TemporaryDirectory(prefix="fnt-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def of(outcome, *guests):
    """What is told of guests: in words, and by their ports."""
    names = [port_name(each.uuid) for each in guests]
    return [
        (suffers(outcome, each), outcome.is_up(n))
        for each, n in zip(guests, names, strict=True)
    ]


def test_who_lacks_a_server_has_a_port_that_is_not_looked_at_for_it(
    namespace, directory
):
    def about_y(one, mode):
        """What failed, who was told of, and why X is not well."""
        directory.chmod(mode)
        outcome = one.passes(ROWS, Y)
        failed = [(f.subject, f.key) for f in outcome.changes.failures]
        reason = outcome.ports[PORTS[0]].reason or ""
        assert reason == suffers(outcome, X) == suffers(outcome, Y)
        return failed, one.applier.told, "cannot enter" in reason

    def passes():
        with host(directory / "networks", ROWS, OPTIONS) as one:
            modes = 0o755, 0o700, 0o700, 0o755, 0o755
            return [about_y(one, mode) for mode in modes]

    before, first, later, mended, after = namespace.call(passes)
    assert before == after == ([], PORTS[1:], False)
    # Nobody asked about X: he is told of where it is news, and not before.
    failed = [(DHCP, network_key(1))]
    assert first == (failed, PORTS, True)
    assert later == (failed, PORTS[1:], True)
    assert mended == ([], PORTS, False)


def test_a_bridge_that_is_not_as_planned_is_told_by_its_network(
    namespace, directory, caplog
):
    """Once, whoever comes; and until a pass about one of its guests mends it.

    The ports that are there stay where they are.
    """

    odd = (network(bridge_interface="eth7"),)
    more = snapshot(networks=odd, interfaces=(X, Y, Z))

    def passes():
        with host(directory / "networks", ROWS, OPTIONS) as one:
            first = one.passes(replace(ROWS, networks=odd))
            second = one.passes(more, Z)
            namespace.run("ip link add eth7 type veth peer name far7")
            third = one.passes(more, Z)
            news = second.has_news(first), third.is_incomplete
            failures = first.changes.failures, second.changes.failures
            told = (of(first, X, Y), of(second, X, Y, Z), of(third, X, Y, Z))
            return news, failures, told, caplog.text

    news, failures, told, log = namespace.call(passes)
    assert news == (False, False)
    for (only,), guests in zip(failures, [(X, Y), (X, Y, Z)], strict=True):
        assert (only.subject, only.key) == (BRIDGE, network_key(1))
        assert only.instances == tuple(g.instance_uuid for g in guests)
    text = f"{only}"
    assert "uplink eth7 does not exist" in text
    assert log.count(text) == 1
    assert "(instances: all of network 1)" in log
    first, second, third = told
    assert first == [(text, True)] * 2
    assert second == [*first, (text, False)]
    assert third == [("", True)] * 3
