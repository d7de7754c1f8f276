"""Rows that make no sense cost those who need them, and nobody else."""

from dataclasses import replace

import pytest

from flatnet.apply.grammar.instances import Passed
from flatnet.apply.grammar.plan import checked
from flatnet.state.composed import composed
from flatnet.state.effects import Surface
from flatnet.state.rows import SecurityGroup, SecurityRule
from flatnet.state.sources import Sources
from tests.builders import interface, network, settings, snapshot
from tests.planned import host_plan, in_groups, parts_of

ODD = interface(1, network_id=2, addresses=("10.9.0.2",))
WELL = interface(2, security_group_ids=(1,))
SECOND = network(
    id=2,
    uuid="22222222-2222-4222-8222-222222222222",
    label="second",
    cidr="10.9.0.0/24",
    bridge="br200",
)
SOURCE = SecurityGroup(1, "web", (SecurityRule(1, "tcp", 22, 22, None, 2),))


def planned(second=SECOND, *, members=(), host_address="10.9.0.1", odd=ODD):
    """What the applier makes of a host with a well and an odd network."""
    rows = snapshot(
        networks=(network(), second),
        host_addresses=((1, "10.0.0.1"), (2, host_address)),
        interfaces=(WELL, odd),
        security_groups=(SOURCE,),
        members=in_groups({2: members}),
    )
    options = settings(use_network_dns_servers=True)
    found = parts_of(rows, options)
    plan = composed(found.parts, Sources())
    return plan, *checked(plan, Passed()), tuple(found.warnings())


def well_alone():
    """What is planned for the well network on a host that has no other."""
    rows = snapshot(
        interfaces=(WELL,),
        security_groups=(SOURCE,),
        members=in_groups({2: ()}),
    )
    return host_plan(rows, settings(use_network_dns_servers=True), {})


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"cidr": "rubbish"}, "cidr 'rubbish'"),
        ({"cidr": "fd00::/64"}, "cidr 'fd00::/64'"),
        ({"cidr": "10.9.0.5/24"}, "cidr '10.9.0.5/24'"),
        ({"cidr": ""}, "cidr ''"),
        ({"bridge": "br/200"}, "bridge 'br/200'"),
        ({"bridge": "br+"}, "bridge 'br+'"),
        ({"bridge": "a-bridge-of-sixteen"}, "bridge 'a-bridge"),
        ({"bridge": ""}, "bridge ''"),
        ({"bridge": "br100"}, "one network on br100, here private"),
        ({"bridge_interface": "x y"}, "bridge_interface 'x y'"),
        ({"uuid": ""}, "uuid ''"),
        ({"host_address": "fd00::1"}, "'fd00::1'"),
        ({"host_address": "010.9.0.1"}, "'010.9.0.1'"),
        ({"host_address": "10.0.0.9"}, "'10.0.0.9'"),
        ({"host_address": "10.9.0.255"}, "'10.9.0.255'"),
    ],
)
def test_a_network_that_cannot_be_made_shuts_its_own_alone(fields, named):
    address = fields.pop("host_address", "10.9.0.1")
    plan, fit, failures, _ = planned(
        replace(SECOND, **fields), host_address=address
    )
    (failure,) = failures
    assert failure.subject.surface is Surface.BRIDGE
    assert "network second: " in failure.message
    assert named in failure.message
    assert failure.instances == (ODD.instance_uuid,)
    alone = well_alone()
    well, unfit = sorted(plan.bridges, key=lambda each: bool(each.fault))
    assert (well,) == alone.bridges
    # Its port is known, so that it is shut and not taken for a leftover.
    assert [port.instance_uuid for port in unfit.ports] == [ODD.instance_uuid]
    assert replace(plan, bridges=alone.bridges) == alone
    assert {each.name for each in fit.bridges} == {well.name, unfit.name}


@pytest.mark.parametrize(
    "fields",
    [
        {"mtu": -1},
        {"mtu": 70000},
        {"dns1": "rubbish"},
        {"dns2": "/evil/192.0.2.1"},
        {"gateway": "rubbish"},
        {"gateway": "rubbish", "multi_host": False},
        {"cidr_v6": "rubbish"},
        {"cidr_v6": "fd00::1/64"},
        {"cidr_v6": "10.0.0.0/24"},
    ],
)
def test_what_a_network_can_do_without_is_left_out(fields):
    plan, _, failures, (line,) = planned(replace(SECOND, **fields))
    assert failures == ()
    name, value = next(iter(fields.items()))
    assert f"network second ({SECOND.uuid}): {name} {value!r}" in line
    clean = replace(SECOND, **{**fields, name: None})
    assert plan == planned(clean)[0]


def test_what_is_empty_is_none():
    empty = {"cidr_v6": "", "gateway": "", "dns1": "", "mtu": 0}
    assert planned(replace(SECOND, **empty)) == planned()


@pytest.mark.parametrize("odd", ["fe80::1%eth0", "rubbish", "10.0.0.300"])
def test_an_odd_member_of_a_group_elsewhere_costs_nobody(odd):
    plan, _, failures, _ = planned(members=("10.0.0.9", odd))
    assert failures == ()
    (members,) = plan.filter.members
    assert members.addresses == {"10.0.0.9"}


def test_an_address_with_a_zone_costs_its_own_instance():
    odd = replace(ODD, addresses=("fe80::1%eth0",))
    _, _, failures, _ = planned(odd=odd)
    assert {u for f in failures for u in f.instances} == {ODD.instance_uuid}


@pytest.mark.parametrize(
    "address", ["10.0.0.3", "10.9.0.0", "10.9.0.255", "127.0.0.1", "224.0.0.1"]
)
def test_an_address_of_another_network_takes_nobody_elses_rules(address):
    """The well one has 10.0.0.3."""
    odd = replace(ODD, addresses=(address,), security_group_ids=(1,))
    plan, _, failures, lines = planned(odd=odd)
    assert failures == ()
    text = f"instance {ODD.instance_uuid}: {address} is no host's address"
    assert text in " ".join(lines)
    holders = [
        guest.instance_uuid
        for guest in plan.filter.guests
        if "10.0.0.3" in guest.addresses
    ]
    assert holders == [WELL.instance_uuid]
    assert not any(
        address in each.addresses
        for each in plan.filter.guests
        if each.instance_uuid == ODD.instance_uuid
    )


def test_capital_letters_are_small_ones():
    """In IPv6; each program has its own idea of them."""
    large = {"cidr_v6": "FD00::/64", "dns1": "2001:DB8::1"}
    small = {name: value.lower() for name, value in large.items()}
    odd = replace(ODD, addresses=("10.9.0.2", "FD00::5"))
    even = replace(ODD, addresses=("10.9.0.2", "fd00::5"))
    found = planned(replace(SECOND, **large), odd=odd)
    assert found == planned(replace(SECOND, **small), odd=even)
    assert found[2] == ()
