"""The mtu of a network, where it is written, by devices and real leases."""

import json

import pytest

from tests.system.cloud import clouds, eventually


@pytest.fixture(scope="module")
def cloud():
    with clouds() as cloud:
        yield cloud


@pytest.fixture
def lab(cloud):
    """For the report of a failure."""
    return cloud.lab


def test_the_mtu_of_the_network_is_followed(cloud, lab):
    edit = "UPDATE networks SET mtu = ?"

    def found():
        """That of bridges and ports, of leases, and of what is answered."""
        links = [
            link
            for node in lab.nodes
            for link in json.loads(node.run("ip -j link"))
            if link["ifname"].startswith(("tap", "br100"))
        ]
        assert len(links) == len(lab.nodes) + len(cloud.guests)
        told = {link["mtu"] for link in links}
        for placed in (cloud.guests[name] for name in ("vm_1", "vm_3")):
            mine = {"instance_id": placed.uuid, "host": placed.node.name}
            [vif] = lab.rpc().call("get_instance_nw_info", **mine)
            told |= {vif["network"]["meta"]["mtu"], placed.guest.dhcp().mtu}
        return told

    assert found() == {1500}
    for mtu, wanted in ((1400, 1400), (None, 1500)):
        cloud.sql(edit, (mtu,))
        eventually(found, {wanted})
