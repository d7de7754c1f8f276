"""What of that which happens to devices is anything to a plan."""

from dataclasses import replace

import pytest

from flatnet.apply.link.device_changes import DeviceChanges
from flatnet.apply.link.link import Address, Link
from flatnet.apply.link.relevant_events import (
    NOTHING,
    Concern,
    concern,
    subjects,
)
from flatnet.state.effects import Subject, Surface
from flatnet.state.plan import Uplink
from flatnet.state.rows import FloatingIp
from tests.builders import interface, settings, snapshot
from tests.planned import host_plan

PORT = "tapaaaaaa01-aa"
OPTIONS = settings(flat_interface="eth1", allow_same_net_traffic=False)
PLAN = host_plan(
    snapshot(interfaces=(interface(1),)),
    OPTIONS,
    {"eth1": Uplink("eth1", 1500)},
)


DEFAULTS = {
    "kind": "tun",
    "alias": "",
    "master": 0,
    "peer": 0,
    "mac": "02:00:00:00:00:01",
    "mtu": 1500,
    "up": True,
    "ipv6": False,
}


def link(index, name, **fields):
    """A device; a tap that nobody has on his bridge."""
    return Link(**{"index": index, "name": name, **DEFAULTS, **fields})


BRIDGE = link(1, "br100", kind="bridge", alias="flatnet:net")
TAP = link(2, PORT, master=1, alias="flatnet:vm")
UPLINK = link(3, "eth1", master=1, kind="")
OTHER = link(4, "docker0", kind="bridge")
VNET = link(5, "vnet0")


def judged(*pairs, addresses=(), there=(), plan=PLAN, links=()):
    """What comes of devices that became others, beside those there are."""
    known = {each.name: each for each in (BRIDGE, TAP, UPLINK, *links)}
    for before, now in pairs:
        if before and known.get(before.name) == before:
            del known[before.name]
        if now:
            known[now.name] = now
    return concern(
        DeviceChanges(links=pairs, addresses=frozenset(addresses)),
        subjects(plan),
        known.get,
        lambda: there,
    )


def changed(device, **fields):
    return judged((device, replace(device, **fields)))


PORTS = Concern(ports=frozenset((PORT,)))
MEMBERS = Concern(members=True)


@pytest.mark.parametrize(
    ("device", "fields", "wanted"),
    [
        (TAP, {"carrier": True}, Concern(carriers=frozenset((PORT,)))),
        (TAP, {"up": False}, PORTS),
        (TAP, {"master": 0}, PORTS),
        (TAP, {"mac": "02:00:00:00:00:77"}, PORTS),
        # Under its new name it is a foreign port.
        (TAP, {"name": "tap1"}, replace(PORTS, members=True)),
        (
            BRIDGE,
            {"mtu": 1300},
            Concern(
                others=frozenset((Subject(Surface.BRIDGE, "br100"),)),
                members=True,
            ),
        ),
        (BRIDGE, {"carrier": True}, NOTHING),
        (
            UPLINK,
            {"name": "lan0"},
            Concern(
                others=frozenset((Subject(Surface.UPLINK, "eth1"),)),
                members=True,
            ),
        ),
        (UPLINK, {"carrier": True}, NOTHING),
        (OTHER, {"mtu": 1300}, NOTHING),
        (OTHER, {"up": False}, Concern(ways=True)),
        (VNET, {"master": 1}, Concern(members=True)),
        (
            VNET,
            {"alias": "flatnet:vm"},
            Concern(others=frozenset((Subject(Surface.PORT, "vnet0"),))),
        ),
    ],
)
def test_a_device_that_is_another(device, fields, wanted):
    assert changed(device, **fields) == wanted


def test_a_port_that_is_gone_or_comes():
    assert judged((TAP, None)) == PORTS
    assert judged((None, TAP)) == PORTS


@pytest.mark.parametrize("kind", ["bridge", "macvlan"])
def test_others_bridges_lead_elsewhere_as_soon_as_they_are_there(kind):
    other = replace(OTHER, kind=kind)
    assert judged((None, other)) == judged((other, None)) == MEMBERS
    assert judged((other, replace(other, name="docker1"))) == MEMBERS
    assert judged((other, replace(other, mtu=9000))) == NOTHING


def test_a_port_that_we_made_again_ourselves():
    """What we read after we had made it is not among what moved."""
    again = replace(TAP, index=9)
    assert judged((TAP, None), links=(again,)) == NOTHING


def test_what_was_ours_and_has_gone_is_nothing():
    assert judged((replace(VNET, alias="flatnet:vm"), None)) == NOTHING
    assert judged((None, VNET)) == judged((VNET, None)) == NOTHING


def test_what_others_make_they_may_change():
    bridge = replace(
        PLAN.bridges[0],
        ports=tuple(
            replace(p, kind="external") for p in PLAN.bridges[0].ports
        ),
    )
    plan = replace(PLAN, bridges=(bridge,))
    assert judged((TAP, replace(TAP, up=False)), plan=plan) == Concern(
        external=frozenset((PORT,))
    )


def address(index, value, *, ours):
    return Address(index, value, is_global=True, ours=ours)


OURS = address(1, "10.0.0.1/24", ours=True)
BRIDGES = Concern(
    others=frozenset((Subject(Surface.BRIDGE, "br100"),)), members=True
)


@pytest.mark.parametrize(
    ("heard", "there", "wanted"),
    [
        (OURS, (), BRIDGES),
        # It was taken and is back, or we have set it.
        (OURS, (OURS,), Concern(members=True)),
        (address(1, "10.0.0.7/24", ours=False), (), Concern(members=True)),
        (address(4, "192.0.2.1/24", ours=False), (), NOTHING),
        (address(4, "10.0.0.7/8", ours=False), (), Concern(ways=True)),
        (address(4, "fd00::1/64", ours=False), (), NOTHING),
    ],
)
def test_addresses(heard, there, wanted):
    assert judged(addresses=[heard], there=there) == wanted


def test_an_address_of_ours_where_none_should_be():
    stray = address(1, "10.9.0.1/24", ours=True)
    assert judged(addresses=[stray], there=[stray]) == BRIDGES
    elsewhere = replace(stray, index=4)
    assert judged(addresses=[elsewhere], there=[elsewhere]) == Concern(
        others=frozenset((Subject(Surface.BRIDGE),)), members=True
    )


def test_a_floating_address_is_missed_where_it_is_planned():
    row = FloatingIp("203.0.113.5", "10.0.0.2", "eth1")
    wanted = host_plan(
        snapshot(interfaces=(interface(1, floating=(row,)),)), OPTIONS
    )
    mine = Address(UPLINK.index, "203.0.113.5/32", is_global=False, ours=True)
    found = judged(addresses=[mine], there=[], plan=wanted)
    assert found.others == {Subject(Surface.FLOATING, "203.0.113.5")}
    assert judged(addresses=[mine], there=[mine], plan=wanted).others == set()
    # And of a plan without it what is there is too much.
    assert judged(addresses=[mine], there=[mine]).others != set()
