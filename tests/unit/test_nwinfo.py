"""NetworkInfo as JSON: nova's model with the contract's corrections."""

import json

import pytest

from flatnet.plan.bridge import bridge_mac
from flatnet.plan.nwinfo import network_info
from flatnet.state.eui64 import made_by
from tests.builders import interface, network, settings

PLUGGED = ("aaaaaa01-aaaa-4aaa-8aaa-aaaaaaaaaaaa",)


def vif(row=None, host_address="10.0.0.1", **options):
    attached = ((interface(), row or network(), host_address),)
    mtus = {"br100": 1450}
    answer = network_info(
        attached, settings(**options), host="node1", mtus=mtus, plugged=PLUGGED
    )
    assert json.loads(json.dumps(answer)) == answer
    return answer[0]


def test_the_gateway_is_the_bridge_of_the_host():
    subnet = vif(network(gateway="10.0.0.254"))["network"]["subnets"][0]
    assert subnet["gateway"]["address"] == "10.0.0.1"
    assert subnet["meta"] == {"dhcp_server": "10.0.0.1"}


def test_without_dhcp_the_gateway_is_the_networks_own():
    row = network(gateway="10.0.0.254")
    subnet = vif(row, None, dhcp=False)["network"]["subnets"][0]
    assert subnet["gateway"]["address"] == "10.0.0.254"
    assert subnet["meta"] == {}


def test_addresses_are_told_by_age():
    """The first is the one that DHCP gives."""
    attached = (
        (interface(addresses=("10.0.0.9", "10.0.0.2")), network(), None),
    )
    (answer,) = network_info(
        attached, settings(), host="node1", mtus={}, plugged=PLUGGED
    )
    ips = answer["network"]["subnets"][0]["ips"]
    assert [each["address"] for each in ips] == ["10.0.0.9", "10.0.0.2"]


def test_only_the_first_interface_has_a_gateway():
    attached = (
        (interface(1), network(), "10.0.0.1"),
        (interface(2, has_default_route=False), network(), "10.0.0.1"),
    )
    first, second = network_info(
        attached, settings(), host="node1", mtus={}, plugged=PLUGGED
    )
    none = {"address": None, "type": "gateway", "version": None, "meta": {}}
    other, same = (e["network"]["subnets"][0] for e in (first, second))
    assert other["gateway"]["address"] == "10.0.0.1"
    assert same["gateway"] == none
    assert same["meta"] == other["meta"] == {"dhcp_server": "10.0.0.1"}


PREFIX = "2001:db8:0:1::/64"
OWN = "2001:db8:0:1:f816:3eff:fe00:1"


def dual_stack(*, has_default_route=True, **options):
    """The second subnet of an interface that has both addresses."""
    mine = interface(
        addresses=("10.0.0.2", OWN), has_default_route=has_default_route
    )
    attached = ((mine, network(cidr_v6=PREFIX), "10.0.0.1"),)
    (answer,) = network_info(
        attached,
        settings(**options),
        host="node2",
        mtus={},
        plugged=PLUGGED,
    )
    first, second = answer["network"]["subnets"]
    assert [each["address"] for each in first["ips"]] == ["10.0.0.2"]
    return second


def test_the_second_subnet_is_ipv6_with_the_gateway_of_the_host():
    """What its router advertisements name: the bridge's link-local one."""
    found = dual_stack(use_ipv6=True)
    gateway = made_by(bridge_mac("node2", network().uuid), None)[0]
    plain = {"version": 6, "meta": {}}
    assert found == {
        "cidr": PREFIX,
        "dns": [],
        "gateway": {"address": gateway, "type": "gateway", **plain},
        "ips": [
            {"address": OWN, "type": "fixed", **plain, "floating_ips": []}
        ],
        "routes": [],
        "version": 6,
        "meta": {},
    }
    for more in ({"dhcp": False}, {"has_default_route": False}):
        subnet = dual_stack(use_ipv6=True, **more)
        assert subnet["gateway"]["address"] is None


def test_without_the_option_the_second_subnet_is_empty():
    found = dual_stack()
    assert (found["ips"], found["gateway"]["address"]) == ([], None)


def test_who_has_no_such_bridge_tells_an_mtu_all_the_same():
    """Any host may be asked about an instance of any other."""
    attached = ((interface(), network(), None),)
    (answer,) = network_info(
        attached, settings(), host="node2", mtus={}, plugged=()
    )
    assert answer["network"]["meta"]["mtu"] == 1500


def subnets():
    """The two subnets that nova's model always has: v4, v6."""
    own = {"type": "gateway", "meta": {}}
    server = {"address": "192.0.2.53", "type": "dns"}
    fixed = {"address": "10.0.0.2", "type": "fixed"}
    return [
        {
            "cidr": "10.0.0.0/24",
            "dns": [{**server, "version": 4, "meta": {}}],
            "gateway": {**own, "address": "10.0.0.1", "version": 4},
            "ips": [
                {**fixed, "version": 4, "meta": {}, "floating_ips": []},
            ],
            "routes": [],
            "version": 4,
            "meta": {"dhcp_server": "10.0.0.1"},
        },
        {
            "cidr": None,
            "dns": [],
            "gateway": {**own, "address": None, "version": None},
            "ips": [],
            "routes": [],
            "version": None,
            "meta": {},
        },
    ]


@pytest.mark.parametrize(("mtu", "told"), [(1400, 1400), (20, 1450)])
def test_the_mtu_is_the_one_that_the_host_uses(mtu, told):
    assert vif(network(mtu=mtu))["network"]["meta"]["mtu"] == told


def test_the_whole_of_it():
    found = vif(network(dns1="192.0.2.53"))
    assert found.pop("network") == {
        "id": "11111111-1111-4111-8111-111111111111",
        "bridge": "br100",
        "label": "private",
        "subnets": subnets(),
        "meta": {
            "tenant_id": None,
            "mtu": 1450,
            "should_create_bridge": True,
            "bridge_interface": None,
            "multi_host": True,
        },
    }
    assert found == {
        "id": "aaaaaa01-aaaa-4aaa-8aaa-aaaaaaaaaaaa",
        "address": "fa:16:3e:00:00:01",
        "type": "bridge",
        "details": {},
        "devname": "tapaaaaaa01-aa",
        "ovs_interfaceid": None,
        "qbh_params": None,
        "qbg_params": None,
        "active": True,
        "vnic_type": "normal",
        "profile": None,
        "preserve_on_delete": False,
        "meta": {},
    }


def test_a_port_that_is_not_on_its_bridge_is_not_active():
    attached = ((interface(), network(), "10.0.0.1"),)
    (answer,) = network_info(
        attached, settings(), host="node1", mtus={}, plugged=()
    )
    assert answer["active"] is False
