"""The layer 2 guard as values: who may send what from which port."""

import pytest

from flatnet.plan.bridge import bridge_mac
from flatnet.state.eui64 import eui64_address
from flatnet.state.plan import Guard, GuardedNetwork, GuardedPort
from flatnet.state.rows import ARRIVING, LEAVING, SERVING, Binding
from tests.builders import interface, network, settings, snapshot
from tests.planned import host_plan

MAC = bridge_mac("node1", network().uuid)
NETWORK = GuardedNetwork(
    bridge="br100",
    cidr="10.0.0.0/24",
    mac=MAC,
    address="10.0.0.1",
    uplink="eth1",
    serves=True,
    metadata="own",
)


def planned(rows, **options):
    options = settings(**{"flat_interface": "eth1", **options})
    return host_plan(rows, options).guard


@pytest.mark.parametrize(
    ("host", "wanted", "moves"),
    [
        ("node1", SERVING, False),
        ("node1", LEAVING, True),
        ("node2", ARRIVING, True),
        # Its row was changed before anybody called.
        ("node2", SERVING, True),
        # And here it has come by that row.
        ("node1", ARRIVING, False),
    ],
)
def test_one_that_moves_is_heard_by_the_uplink_too(host, wanted, moves):
    mine = interface(1, host=host)
    bound = Binding(mine.uuid, mine.instance_uuid, wanted)
    [port] = planned(snapshot(interfaces=(mine,), bindings=(bound,))).ports
    assert port.moves is moves


def test_a_port_owns_its_mac_its_addresses_and_a_link_local():
    assert planned(snapshot(interfaces=(interface(1),))) == Guard(
        ports=(
            GuardedPort(
                name="tapaaaaaa01-aa",
                mac="fa:16:3e:00:00:01",
                addresses=("10.0.0.2", "fe80::f816:3eff:fe00:1"),
                instance_uuid="bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbb01",
            ),
        ),
        networks=(NETWORK,),
    )


def test_a_host_without_instances_is_guarded_already():
    assert planned(snapshot()).ports == ()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (True, False)),
        ({"allow_same_net_traffic": False}, (True, True)),
        (
            {"allow_same_net_traffic": False, "prevent_spoofing": False},
            (False, True),
        ),
    ],
)
def test_what_is_checked(options, expected):
    found = planned(snapshot(), **options)
    assert (found.prevent_spoofing, found.isolated) == expected


def test_no_guard_without_a_bridge():
    rows = snapshot(networks=(), host_addresses=())
    assert planned(rows) is None


def test_members_of_groups_are_filtered():
    rows = snapshot(
        interfaces=(interface(1, security_group_ids=(7,)), interface(2))
    )
    assert [port.filtered for port in planned(rows).ports] == [True, False]


def test_ports_are_sorted():
    rows = snapshot(interfaces=(interface(2), interface(1)))
    ports = planned(rows).ports
    assert ports == tuple(sorted(ports, key=lambda port: port.name))


def test_ipv6_addresses_follow_from_the_mac():
    rows = snapshot(
        networks=(network(cidr_v6="2001:db8::/64"),),
        interfaces=(interface(1, mac="FA:16:3E:00:00:01"),),
    )
    (port,) = planned(rows).ports
    assert port.mac == "fa:16:3e:00:00:01"
    assert port.addresses == (
        "10.0.0.2",
        "2001:db8::f816:3eff:fe00:1",
        "fe80::f816:3eff:fe00:1",
    )


def test_a_malformed_mac_stays_for_the_applier_to_refuse():
    rows = snapshot(interfaces=(interface(1, mac="no mac"),))
    (port,) = planned(rows).ports
    assert (port.mac, port.addresses) == ("no mac", ("10.0.0.2",))


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        (snapshot(), {"dhcp": False}),
        (snapshot(networks=(network(enable_dhcp=False),)), {}),
        (snapshot(host_addresses=()), {}),
    ],
)
def test_guests_without_dhcp_here_may_ask_beyond_the_uplink(rows, options):
    (found,) = planned(rows, **options).networks
    assert found.uplink == "eth1"
    assert not found.serves


def test_what_is_not_given_is_left_to_the_bridge():
    (found,) = planned(snapshot(), flat_interface="").networks
    assert (found.uplink, found.foreign_ports) == (None, "")
    (found,) = planned(snapshot(), foreign_ports="closed").networks
    assert found.foreign_ports == "closed"


@pytest.mark.parametrize(
    ("mac", "address"),
    [
        ("00:00:00:00:00:00", "fe80::200:ff:fe00:0"),
        ("02:00:5e:10:00:01", "fe80::5eff:fe10:1"),
        ("fe:ff:ff:ff:ff:ff", "fe80::fcff:ffff:feff:ffff"),
    ],
)
def test_eui64(mac, address):
    assert eui64_address("fe80::/64", mac) == address
