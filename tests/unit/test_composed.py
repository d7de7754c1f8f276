"""Members of source groups, gathered as their parts come and go."""

import random
from dataclasses import replace

import pytest

from flatnet.state.composed import composed
from flatnet.state.filtering import Group, Guest, Opening
from flatnet.state.parts import (
    GuestPart,
    HostPart,
    Member,
    NetworkPart,
    Parts,
)
from flatnet.state.plan import Bridge, GuardedPort, Port
from flatnet.state.sources import Sources
from tests.builders import dhcp_host

HOST = HostPart("node1")
GUARDED = HostPart("node1", is_guarded=True)
SOURCES = (7, 8, 9)


def group(number, *sources):
    return Group(number, tuple(Opening(4, group=each) for each in sources))


def parts(groups, members):
    return Parts(HOST, groups=dict(groups), members=dict(members))


def network_of(number):
    bridge = f"br{number}"
    return NetworkPart(Bridge(bridge, f"uuid-{number}", "mac", 1500))


def drawn(luck, groups, members):
    """Other parts, in new mappings where somebody came, went or changed."""
    groups, members = dict(groups), dict(members)
    number = luck.randint(1, 3)
    if luck.random() < 0.3:
        groups.pop(number, None)
    else:
        groups[number] = group(number, *luck.sample(SOURCES, 2))
    for _ in range(luck.randint(0, 4)):
        key = f"instance-{luck.randint(1, 6)}"
        if luck.random() < 0.4:
            members.pop(key, None)
        else:
            # Some have it twice, and some have what others have.
            found = (f"10.0.0.{luck.randint(1, 9)}" for _ in range(2))
            members[key] = Member(luck.choice(SOURCES), tuple(found))
    return groups, members


def test_members_that_come_and_go_are_those_of_a_fresh_look():
    luck, sources = random.Random(1), Sources()
    groups, members = {}, {}
    for _ in range(300):
        groups, members = drawn(luck, groups, members)
        found = parts(groups, members)
        assert sources.members(found) == Sources().members(found)
        assert sources.groups(found) == Sources().groups(found)


def test_a_group_whose_members_stay_is_the_same_object():
    groups = {1: group(1, 7, 8)}
    one, other = Member(7, ("10.0.0.1",)), Member(8, ("10.0.0.2",))
    sources = Sources()
    before = sources.members(parts(groups, {"a": one, "b": other}))
    joined = Member(8, ("10.0.0.3",))
    after = sources.members(parts(groups, {"a": one, "b": joined}))
    assert after[0] is before[0]
    assert [set(each.addresses) for each in after] == [
        {"10.0.0.1"},
        {"10.0.0.3"},
    ]


def some_guests(luck, guests, names=5):
    """Others who came, went or changed; some have what others have."""
    guests = dict(guests)
    for _ in range(luck.randint(0, 3)):
        key = f"guest-{luck.randint(1, 8)}"
        if luck.random() < 0.4:
            guests.pop(key, None)
        else:
            guests[key] = some_guest(luck, luck.randint(1, names))
    return guests


def some_guest(luck, number):
    name, address = f"tap{number}", f"10.0.0.{number}"
    mac, uuid = "fa:16:3e:00:00:01", f"instance-{luck.randint(1, 9)}"
    return GuestPart(
        network=luck.randint(1, 2),
        port=Port(name, "tap", mac, uuid),
        guarded=luck.choice((None, GuardedPort(name, mac, (address,), uuid))),
        filtered=luck.choice((None, Guest(f"vif{number}", uuid, "br1"))),
        dhcp=luck.choice((None, dhcp_host(mac, address))),
    )


def test_guests_that_come_and_go_are_those_of_a_fresh_look():
    luck, sources = random.Random(2), Sources()
    guests, networks = {}, {1: network_of(1), 2: network_of(2)}
    for _ in range(300):
        guests = some_guests(luck, guests)
        found = Parts(GUARDED, networks=networks, guests=guests)
        plan, fresh = composed(found, sources), composed(found, Sources())
        assert plan == fresh
        names = [each.name for each in plan.guard.ports]
        assert names == sorted(names)
        for number, bridge in enumerate(plan.bridges, 1):
            names = sorted(
                each.port.name
                for each in guests.values()
                if each.network == number
            )
            assert [each.name for each in bridge.ports] == names


def by_name(*sequences):
    return {each.name: each for those in sequences for each in those}


@pytest.mark.parametrize(("names", "least"), [(5, 10), (1000, 150)])
def test_who_bears_a_name_is_who_bears_it_in_its_place(names, least):
    luck, sources = random.Random(names), Sources()
    guests, networks = {}, {1: network_of(1), 2: network_of(2)}
    known = 0
    for _ in range(300):
        guests = some_guests(luck, guests, names)
        # Some are of a network that is not here.
        here = networks if luck.random() < 0.7 else {1: networks[1]}
        plan = composed(Parts(GUARDED, here, guests), sources)
        assert dict(plan.ports) == by_name(*(b.ports for b in plan.bridges))
        assert dict(plan.guard.named) == by_name(plan.guard.ports)
        known += bool(plan.arranged) and plan.ports is plan.arranged.values
    assert known >= least


def test_a_plan_with_other_ports_has_no_names_of_those_before():
    port = Port("tap1", "tap", "fa:16:3e:00:00:01", "instance-1")
    guarded = GuardedPort("tap1", port.mac)
    guests = {"a": GuestPart(1, port, guarded)}
    plan = composed(Parts(GUARDED, {1: network_of(1)}, guests), Sources())
    other = replace(plan, bridges=(replace(plan.bridges[0], ports=()),))
    assert (dict(plan.ports), dict(other.ports)) == ({"tap1": port}, {})
    guard = replace(plan.guard, ports=(replace(guarded, name="tap2"),))
    assert (set(plan.guard.named), set(guard.named)) == ({"tap1"}, {"tap2"})


def test_a_guest_whose_port_is_as_it_was_keeps_the_object():
    port = Port("tap1", "tap", "fa:16:3e:00:00:01", "instance-1")
    sources, networks = Sources(), {1: network_of(1)}
    first = composed(
        Parts(GUARDED, networks, {"a": GuestPart(1, port)}), sources
    )
    same = GuestPart(1, replace(port), GuardedPort("tap1", port.mac))
    second = composed(Parts(GUARDED, networks, {"a": same}), sources)
    assert second.ports["tap1"] is port
    assert second.bridges[0].ports is first.bridges[0].ports


def test_who_is_elsewhere_moves_nobody():
    networks = {1: network_of(1), 2: network_of(2)}
    one, other = (some_guest(random.Random(n), n) for n in (1, 2))
    guests = {"a": replace(one, network=1), "b": replace(other, network=2)}
    sources = Sources()
    before = composed(Parts(GUARDED, networks, guests), sources)
    guests = {
        **guests,
        "c": replace(guests["b"], port=Port("tap9", "tap", "", "")),
    }
    after = composed(Parts(GUARDED, networks, guests), sources)
    assert after.bridges[0].ports is before.bridges[0].ports
    assert len(after.bridges[1].ports) == 2
