"""Where a floating address is, and the rules that translate it."""

import pytest

from flatnet.apply.filter.iptables.rendering import rules
from flatnet.state.rows import Binding, FloatingIp
from tests.builders import interface, network, settings, snapshot
from tests.planned import filter_plan, host_plan

ADDRESS = FloatingIp("203.0.113.5", "10.0.0.2")


def bound(is_found, *, wanted="serving"):
    """The binding of the first interface, with its guest or without."""
    first = interface(1)
    found = {"found": "up", "carrier": is_found}
    return (Binding(first.uuid, first.instance_uuid, wanted, **found),)


def translated(*, row_host, is_found, is_elsewhere):
    mine = interface(1, floating=(ADDRESS,), host=row_host)
    rows = snapshot(
        interfaces=(mine,),
        bindings=bound(is_found),
        elsewhere=(mine.uuid,) if is_elsewhere else (),
    )
    wanted, lines = filter_plan(rows, settings())
    assert lines == ()
    return [each.address for each in wanted.floating]


@pytest.mark.parametrize("row_host", ["node1", "node2"])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_one_of_two_hosts_has_it(row_host, first, second):
    """Whatever rows say: the other host sees the same from the other side."""
    here = translated(row_host=row_host, is_found=first, is_elsewhere=second)
    others = {"node1": "node2", "node2": "node1"}[row_host]
    there = translated(row_host=others, is_found=second, is_elsewhere=first)
    assert sorted((here, there)) == [[], [ADDRESS.address]]


@pytest.mark.parametrize(
    ("row", "options", "told"),
    [
        (FloatingIp("203.0.113.5", "10.0.0.9"), {}, "no address that its"),
        (FloatingIp("rubbish", "10.0.0.2"), {}, "no IPv4 address"),
        (FloatingIp("2001:db8::1", "10.0.0.2"), {}, "no IPv4 address"),
        (FloatingIp("203.0.113.5", "10.0.0.2", "e h"), {}, "name of a device"),
        (ADDRESS, {"public_interface": ""}, "name of a device"),
        (ADDRESS, {"dhcp": False}, "no gateway"),
    ],
)
def test_what_cannot_be_translated_is_a_line(row, options, told):
    rows = snapshot(interfaces=(interface(1, floating=(row,)),))
    wanted, (line,) = filter_plan(rows, settings(**options))
    assert wanted.floating == ()
    assert told in line


def nat(rows, **options):
    """The rules of nat, as iptables-save shows them."""
    wanted, _ = filter_plan(rows, settings(**options))
    (table,) = [each for each in rules(wanted).tables if each.name == "nat"]
    return [
        f"-A {chain.name} {rule}"
        for chain in table.chains
        for rule in chain.rules
    ]


def test_rules_of_one():
    """Who sees guests' own addresses does; then it comes before the host's."""
    rows = snapshot(
        networks=(network(enable_dhcp=False),),
        interfaces=(interface(1, floating=(ADDRESS,)), interface(2)),
    )
    options = {"routing_source_ip": "192.0.2.1", "metadata_host": ""}
    assert nat(rows, **options, dmz_cidr=("10.128.0.0/16",)) == [
        "-A flatnet-OUTPUT -d 203.0.113.0/27 -j flatnet-float-6580388",
        "-A flatnet-POSTROUTING -s 10.0.0.0/24 -d 10.128.0.0/16 -j ACCEPT",
        "-A flatnet-POSTROUTING -s 10.0.0.0/24 -d 10.0.0.0/24 -m conntrack "
        "! --ctstate DNAT -j ACCEPT",
        "-A flatnet-POSTROUTING -s 10.0.0.0/24 -j flatnet-float-snat",
        "-A flatnet-POSTROUTING -s 10.0.0.0/24 -o eth0 -j SNAT "
        "--to-source 192.0.2.1",
        "-A flatnet-PREROUTING -d 203.0.113.0/27 -j flatnet-float-6580388",
        "-A flatnet-float-6580388 -d 203.0.113.5/32 -j DNAT "
        "--to-destination 10.0.0.2",
        "-A flatnet-float-snat -s 10.0.0.0/27 -j flatnet-float-snat-0500000",
        "-A flatnet-float-snat-0500000 -s 10.0.0.2/32 -o eth0 -j SNAT "
        "--to-source 203.0.113.5",
        "-A flatnet-float-snat-0500000 -s 10.0.0.2/32 -m conntrack "
        "--ctstate DNAT -j SNAT --to-source 203.0.113.5",
    ]


def test_of_several_that_lead_to_one_the_lowest_is_its_source():
    found = FloatingIp("203.0.113.40", "10.0.0.2", "eth5")
    rows = snapshot(interfaces=(interface(1, floating=(ADDRESS, found)),))
    sources = [each for each in nat(rows) if "--to-source 203" in each]
    assert len(sources) == 2
    assert all("203.0.113.5" in each for each in sources)
    targets = [each for each in nat(rows) if "--to-destination 10" in each]
    assert len(targets) == 2


def test_its_device_lets_pass_where_all_do():
    found = FloatingIp("203.0.113.40", "10.0.0.2", "eth5")
    rows = snapshot(interfaces=(interface(1, floating=(found,)),))
    assert "eth5" in host_plan(rows, settings()).forwarding.devices
    few = settings(forward_bridge_interface=("eth1",))
    assert "eth5" not in host_plan(rows, few).forwarding.devices
