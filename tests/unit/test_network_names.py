"""Names of instances of other hosts, as a host tells them its guests."""

from dataclasses import replace

import pytest

from flatnet.apply.dhcp import dnsmasq
from flatnet.apply.grammar.instances import Passed
from flatnet.apply.grammar.plan import checked
from flatnet.exceptions import HostSetupError
from flatnet.state.plan import NamesSlice
from flatnet.state.rows import NamedInstance
from flatnet.state.sliced_collections import SlicedMap
from tests.builders import dhcp_server, interface, network, settings, snapshot
from tests.builders import named as named_here
from tests.planned import host_plan, kept_rows, parts_of, planned, servers

WIDE = network(cidr="10.0.0.0/22")
OTHER = network(id=2, bridge="br200", cidr="10.1.0.0/24")
BOTH = ((1, "10.0.0.1"), (2, "10.1.0.1"))


def elsewhere(number, *addresses, name=None, network=1):
    """An instance of another host."""
    return NamedInstance(
        network,
        f"cccccccc-cccc-4ccc-8ccc-cccccccccc{number:02d}",
        name or f"far_{number}",
        100 + number,
        addresses or (f"10.0.0.{100 + number}",),
    )


def rows(*far, here=(), **fields):
    return snapshot(
        interfaces=here,
        named=(*named_here(here), *far),
        **{"networks": (WIDE,), **fields},
    )


def told(*far, **fields):
    """What the servers of a host say of instances elsewhere, by bridge."""
    found, _ = servers(rows(*far, **fields), settings())
    return {
        server.bridge: [
            line for part in server.elsewhere for line in part.names
        ]
        for server in found
    }


def test_names_are_told_by_address_but_for_those_of_guests_here():
    far = elsewhere(2), elsewhere(1)
    assert told(*far, here=(interface(1),)) == {
        "br100": [("10.0.0.101", "far_1"), ("10.0.0.102", "far_2")]
    }


def test_a_network_is_told_its_own_names_alone():
    far = elsewhere(1), elsewhere(2, "10.1.0.2", name="far_1", network=2)
    assert told(*far, networks=(WIDE, OTHER), host_addresses=BOTH) == {
        "br100": [("10.0.0.101", "far_1")],
        "br200": [("10.1.0.2", "far_1")],
    }


def test_an_address_of_another_network_is_told_to_nobody():
    odd = elsewhere(1, "192.0.2.1", "rubbish", "10.0.0.0", "10.0.0.9")
    assert told(odd) == {"br100": [("10.0.0.9", "far_1")]}


def test_of_namesakes_on_all_hosts_the_one_made_first_keeps_the_name():
    first = interface(1, hostname="shop", instance_id=1)
    later = interface(1, hostname="shop", instance_id=900)
    far = elsewhere(1, name="SHOP")
    assert told(far, here=(first,)) == {"br100": []}
    (server,), (line,) = servers(rows(far, here=(later,)), settings())
    assert server.hosts[0].name is None
    assert f"is that of instance {far.instance_uuid} of its network" in line
    assert [e.names for e in server.elsewhere] == [(("10.0.0.101", "SHOP"),)]


def test_who_lives_elsewhere_without_a_name_is_no_affair_of_this_host():
    _, warnings = servers(rows(elsewhere(1, name="wpad")), settings())
    assert warnings == ()


def test_another_name_is_another_slice_and_the_rest_stays():
    far = [elsewhere(n, f"10.0.{n}.7") for n in range(4)]
    before = parts_of(rows(*far), settings())
    assert sorted(before.parts.names) == ["1 0", "1 1", "1 2", "1 3"]
    far[2] = elsewhere(2, "10.0.2.7", name="other")
    after = planned(kept_rows(rows(*far)), settings(), {}, before=before)
    new, old = after.parts.names, before.parts.names
    assert isinstance(new, SlicedMap)
    assert isinstance(old, SlicedMap)
    put, gone = new.differing(old)
    assert put == {"1 2": NamesSlice(1, 2, (("10.0.2.7", "other"),))}
    assert gone == ()


def test_what_follows_from_rows_that_change_is_what_a_first_plan_makes():
    far, here = elsewhere(1), interface(1, instance_id=500)
    arriving = interface(
        3, instance_uuid=far.instance_uuid, addresses=far.addresses
    )
    states = (
        rows(far, here=(here,)),
        rows(elsewhere(1, "10.0.3.9"), elsewhere(2), here=(here,)),
        rows(elsewhere(1, name="vm_1"), here=(here,)),
        rows(here=(here, arriving)),
        rows(far, here=(here,), networks=(network(cidr="10.0.0.0/23"),)),
        rows(far, here=(here,), networks=(network(enable_dhcp=False),)),
        rows(far),
        rows(here=(here,), host_addresses=()),
    )
    for one in states:
        for other in states:
            before = parts_of(one, settings())
            after = planned(kept_rows(other), settings(), {}, before=before)
            assert after.parts == parts_of(other, settings()).parts


@pytest.mark.parametrize(
    "names",
    [
        (("10.0.0.9", "a\n192.0.2.1 bank"),),
        (("10.0.0.9 bank", "a"),),
        (("10.0.0.9", "a"), ("rubbish", "b")),
        (("10.0.0.9", "a.b"),),
        (("fe80::1%eth0", "a"),),
    ],
)
def test_a_slice_that_is_odd_is_left_out_and_costs_no_guest(names):
    wanted = host_plan(rows(elsewhere(1), here=(interface(1),)), settings())
    (server,) = wanted.dhcp_servers
    odd = replace(server, elsewhere=(NamesSlice(1, 7, names),))
    found, (failure,) = checked(replace(wanted, dhcp_servers=(odd,)), Passed())
    assert found.dhcp_servers == (replace(server, elsewhere=()),)
    assert failure.instances == ()
    assert str(failure).isprintable()


def test_the_privileged_side_names_no_address_of_others():
    odd = NamesSlice(1, 0, (("192.0.2.1", "bank"),))
    with pytest.raises(HostSetupError, match=r"192\.0\.2\.1 is not of"):
        dnsmasq.elsewhere_text(odd, dhcp_server())


def test_addresses_of_both_families_are_told_where_both_are_served():
    dual = network(cidr="10.0.0.0/22", cidr_v6="2001:db8::/64")
    far = elsewhere(1, "10.0.1.9", "2001:db8::9", "2001:db8:1::9")
    given = rows(far, networks=(dual,))
    (server,), _ = servers(given, settings(use_ipv6=True))
    (part,) = server.elsewhere
    assert part.number == 1
    assert dnsmasq.elsewhere_text(part, server) == (
        "10.0.1.9 far_1\n2001:db8::9 far_1\n"
    )
    alone = parts_of(given, settings())
    assert alone.parts.names["1 1"].names == (("10.0.1.9", "far_1"),)
    options, single = settings(use_ipv6=True), rows(far)
    for one, other in ((given, single), (single, given)):
        before = parts_of(one, options)
        after = planned(kept_rows(other), options, {}, before=before)
        assert after.parts == parts_of(other, options).parts
