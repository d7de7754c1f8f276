"""In what condition an instance is, by what its host found."""

import pytest

from flatnet.plan.conditions import instance_condition
from flatnet.state.rows import SERVING, Binding, Instance

READY = ("ready", None)
VM = Instance(1, "vm", host="node1")


def bound(number, found, reason=None):
    return Binding(f"vif-{number}", "vm", SERVING, found=found, reason=reason)


@pytest.mark.parametrize(
    ("bindings", "condition"),
    [
        ([bound(1, "up"), bound(2, "up")], ("active", None)),
        # Its port is up, and its DHCP server is not there.
        ([bound(1, "up", "no dnsmasq")], ("failed", "no dnsmasq")),
        (
            [bound(1, "up", "no dnsmasq"), bound(2, "up")],
            ("failed", "no dnsmasq"),
        ),
        (
            [bound(1, "up", "no dnsmasq"), bound(2, "missing", "no tap")],
            ("failed", "no tap"),
        ),
        (
            [bound(1, "up", "no dnsmasq"), bound(2, "shut", "it is down")],
            ("shut", "it is down"),
        ),
    ],
)
def test_of_ports_that_were_looked_at(bindings, condition):
    found = instance_condition(
        VM, has_network=True, bound=iter(bindings), host=READY
    )
    assert found == condition
