"""What a config drive is written from, where nobody serves DHCP."""

import pytest

from flatnet import answers
from flatnet.config.settings import Settings
from flatnet.network_admin import NetworkAdmin
from flatnet.passes.outcome import Pass
from tests.builders import reconciling
from tests.db.conftest import allocate, an_instance

GIVEN = {
    "label": "private",
    "cidr": "10.0.0.0/24",
    "gateway": "10.0.0.254",
    "dns1": "192.0.2.53",
    "dns2": "192.0.2.54",
    "mtu": 1450,
}


def told(database, **options):
    """NetworkInfo of the two interfaces of an instance, by a host."""
    settings = Settings(
        host="node1", flat_network_bridge="br100", dhcp=False, **options
    )
    admin = NetworkAdmin(settings, database, reconciling(None), tuple)
    network = admin.create(**GIVEN)
    instance = an_instance(database)
    allocate(
        database,
        instance,
        requested=[(network.uuid, None)] * 2,
        takes_address=False,
    )
    return answers.network_info(
        database,
        settings,
        instance_uuid=instance.uuid,
        host="node1",
        last=Pass(),
    )


def _address(address, kind, **more):
    version = 4 if address else None
    return {
        "address": address,
        "type": kind,
        "version": version,
        "meta": {},
        **more,
    }


@pytest.mark.parametrize("injected", [True, False])
def test_what_flat_manager_tells_of_a_network(database, injected):
    """No DHCP server, so that the guest's own files say all of it."""
    first, second = told(database, flat_injected=injected)
    meta = {"tenant_id": None, "mtu": 1450}
    if injected:
        meta["injected"] = True
    assert first["network"]["meta"] == second["network"]["meta"] == meta
    subnet, _ = first["network"]["subnets"]
    assert subnet == {
        "cidr": "10.0.0.0/24",
        "dns": [
            _address(each, "dns") for each in ("192.0.2.53", "192.0.2.54")
        ],
        "gateway": _address("10.0.0.254", "gateway"),
        "ips": [_address("10.0.0.1", "fixed", floating_ips=[])],
        "routes": [],
        "version": 4,
        "meta": {},
    }
    other, _ = second["network"]["subnets"]
    assert other["gateway"] == _address(None, "gateway")
    assert other["dns"] == subnet["dns"]
