"""What failed of a network, while passes about some of its guests go on."""

import tempfile
from pathlib import Path

import pytest
from reconciled import host, suffers

from flatnet.plan.port import port_name
from tests.builders import interface, settings, snapshot
from tests.effects import DHCP

OPTIONS = settings(dhcp_domain="novalocal", public_interface="lo")
X, Y = (interface(number) for number in (1, 2))
ROWS = snapshot(interfaces=(X, Y))
PORTS = [port_name(each.uuid) for each in (X, Y)]


@pytest.fixture
def directory():
    """A directory; dnsmasq, which is nobody, can enter it at first."""
    with tempfile.TemporaryDirectory(prefix="fnt-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_who_lacks_a_server_has_a_port_that_is_not_looked_at_for_it(
    namespace, directory
):
    def about_y(one, mode):
        """What failed, who was told of, and why X is not well."""
        directory.chmod(mode)
        outcome = one.passes(ROWS, Y)
        failed = [each.subject for each in outcome.changes.failures]
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
    assert first == ([DHCP], PORTS, True)
    assert later == ([DHCP], PORTS[1:], True)
    assert mended == ([], PORTS, False)
