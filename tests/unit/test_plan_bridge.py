"""Bridges and ports as the plan has them: values, no kernel."""

import pytest

from flatnet.plan.bridge import bridge_mac
from flatnet.state.plan import Bridge, Port, Uplink
from tests.builders import interface, network, settings, snapshot
from tests.planned import bridges, parts_of, uplink_names


def row(number, **fields):
    """An interface whose uuid starts with its number."""
    uuid = f"{number:08x}-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
    return interface(number, uuid=uuid, **fields)


def test_a_host_with_two_instances():
    rows = snapshot(interfaces=(row(2), row(1)))
    assert bridges(rows, settings(flat_interface="eth1"), {}) == (
        Bridge(
            name="br100",
            network_uuid="11111111-1111-4111-8111-111111111111",
            mac=bridge_mac("node1", "11111111-1111-4111-8111-111111111111"),
            mtu=1500,
            uplink="eth1",
            address="10.0.0.1/24",
            ports=(
                Port(
                    name="tap00000001-aa",
                    kind="tap",
                    mac="fa:16:3e:00:00:01",
                    instance_uuid="bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbb01",
                    addresses=("10.0.0.2",),
                    owner="root",
                ),
                Port(
                    name="tap00000002-aa",
                    kind="tap",
                    mac="fa:16:3e:00:00:02",
                    instance_uuid="bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbb02",
                    addresses=("10.0.0.3",),
                    owner="root",
                ),
            ),
            network=1,
        ),
    )


def test_mac_is_local_unicast_and_differs_by_host_and_network():
    macs = {bridge_mac(*pair) for pair in ("ab", "ac", "bb")}
    assert len(macs) == 3
    assert {mac[:3] for mac in macs} == {"02:"}
    assert {len(mac) for mac in macs} == {17}


@pytest.mark.parametrize(
    ("options", "times"),
    [({}, 0), ({"send_arp_for_ha_count": 5}, 0), ({"send_arp_for_ha": 1}, 3)],
)
def test_an_address_is_announced_where_that_is_wanted(options, times):
    (bridge,) = bridges(snapshot(), settings(**options), {})
    assert bridge.announced == times


def test_flat_manager_gives_the_bridge_no_address():
    (bridge,) = bridges(snapshot(), settings(dhcp=False), {})
    assert bridge.address is None


def test_a_network_without_an_address_of_this_host_has_none():
    (bridge,) = bridges(snapshot(host_addresses=()), settings(), {})
    assert bridge.address is None


def test_mtu_is_the_networks_then_the_uplinks_then_1500():
    uplinks = {"eth1": Uplink(name="eth1", mtu=9000)}
    by_eth1 = settings(flat_interface="eth1")
    small = snapshot(networks=(network(mtu=1400),))
    assert bridges(small, by_eth1, uplinks)[0].mtu == 1400
    assert bridges(snapshot(), by_eth1, uplinks)[0].mtu == 9000
    assert bridges(snapshot(), by_eth1, {})[0].mtu == 1500
    assert bridges(snapshot(), settings(), uplinks)[0].mtu == 1500


def test_an_uplink_that_takes_less_than_the_network_is_told_of():
    rows = snapshot(networks=(network(mtu=9000, bridge_interface="eth1"),))

    def told(mtu):
        uplinks = {"eth1": Uplink("eth1", mtu)}
        return tuple(parts_of(rows, settings(), uplinks).warnings())

    assert told(9000) == ()
    (line,) = told(1500)
    assert line == (
        "network private (11111111-1111-4111-8111-111111111111): its mtu 9000 "
        "is larger than 1500 of uplink eth1, so that large packets to other "
        "hosts are lost: ip link set eth1 mtu 9000, or give the network that "
        "mtu"
    )


def test_flat_interface_overrides_the_networks_uplink():
    rows = snapshot(networks=(network(bridge_interface="eth2"),))
    assert uplink_names(rows, settings()) == ("eth2",)
    assert bridges(rows, settings(), {})[0].uplink == "eth2"
    assert uplink_names(rows, settings(flat_interface="eth1")) == ("eth1",)
    assert uplink_names(snapshot(), settings()) == ()


def test_flat_interface_is_of_one_bridge():
    """Another network keeps its own uplink, else both would want one."""
    rows = snapshot(
        networks=(
            network(),
            network(id=2, bridge="br200", bridge_interface="eth2"),
        )
    )
    options = settings(flat_interface="eth1")
    assert uplink_names(rows, options) == ("eth1", "eth2")
    found = bridges(rows, options, {})
    assert [each.uplink for each in found] == ["eth1", "eth2"]
    only = snapshot(networks=(network(bridge="br200"),))
    assert uplink_names(only, options) == ("eth1",)


def test_a_veth_has_a_peer_and_an_external_port_stays_in_the_plan():
    rows = snapshot(interfaces=(row(1),))
    (veth,) = bridges(rows, settings(vif_plug="veth"), {})[0].ports
    assert (veth.kind, veth.peer) == ("veth", "vif" + veth.name[3:])
    (outside,) = bridges(rows, settings(vif_plug="external"), {})[0].ports
    assert (outside.kind, outside.peer) == ("external", None)


def test_names_fit_into_what_linux_allows():
    rows = snapshot(interfaces=(row(1),))
    (port,) = bridges(rows, settings(vif_plug="veth"), {})[0].ports
    assert len(port.name) == len(port.peer) == 14


def test_bridges_are_sorted_and_hold_their_own_ports():
    rows = snapshot(
        networks=(network(id=1, bridge="br200"), network(id=2)),
        interfaces=(row(1, network_id=2), row(2, network_id=1)),
    )
    first, second = bridges(rows, settings(), {})
    assert (first.name, second.name) == ("br100", "br200")
    assert first.ports[0].mac.endswith(":01")
    assert second.ports[0].mac.endswith(":02")


@pytest.mark.parametrize(
    ("options", "opener"),
    [
        ({}, ("root", None)),
        ({"tap_owner": "qemu"}, ("qemu", None)),
        ({"tap_group": "kvm"}, (None, "kvm")),
        ({"tap_owner": "qemu", "tap_group": "kvm"}, ("qemu", "kvm")),
        ({"vif_plug": "veth", "tap_owner": "qemu"}, (None, None)),
    ],
)
def test_who_may_open_a_tap(options, opener):
    rows = snapshot(interfaces=(interface(1),))
    (bridge,) = bridges(rows, settings(**options), {})
    (port,) = bridge.ports
    assert (port.owner, port.group) == opener
