"""An admin's bridge that cannot be worked with, where few kernels have one."""

from dataclasses import replace
from typing import cast

import pytest
from pyroute2 import IPRoute

from flatnet.apply.link.bridge_checks import check_bridge
from flatnet.apply.link.device_index import DeviceIndex
from flatnet.apply.link.device_reads import DUMP
from flatnet.apply.link.device_view import DeviceView
from flatnet.apply.link.link import Link
from flatnet.apply.link.links import LinkPass
from flatnet.exceptions import HostSetupError
from flatnet.state.plan import Bridge

PLANNED = Bridge("br100", network_uuid="n", mac="02:aa", mtu=1500)
BRIDGE = Link(
    index=7,
    name="br100",
    kind="bridge",
    alias="",
    master=0,
    peer=0,
    mac="02:bb",
    mtu=9000,
    up=True,
    ipv6=True,
)
FILTERS = ("IFLA_BR_VLAN_FILTERING", 1)
PVID = "IFLA_BR_VLAN_DEFAULT_PVID"


def checked(bridge):
    others = replace(BRIDGE, index=8, name="blue", kind="vrf")
    found = LinkPass(
        netlink=cast("IPRoute", None),
        devices=DUMP,
        links=DeviceView(DeviceIndex((bridge, others))),
        addresses=(),
    )
    check_bridge(found, PLANNED, planned=frozenset({"br100"}))


def test_vlans_that_leave_new_ports_deaf():
    deaf = replace(BRIDGE, options=(FILTERS, (PVID, 0)))
    with pytest.raises(HostSetupError, match="vlan_default_pvid 1"):
        checked(deaf)
    checked(replace(BRIDGE, options=(FILTERS, (PVID, 1))))
    checked(replace(deaf, alias="flatnet:n"))


def test_routes_of_another_table():
    with pytest.raises(HostSetupError, match="br100 belongs to blue"):
        checked(replace(BRIDGE, master=8))
