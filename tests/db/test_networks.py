"""Networks: what is accepted, what is refused, what it makes."""

from dataclasses import replace

import pytest
import sqlalchemy

from flatnet.db import deallocation, instances, models, networks
from flatnet.exceptions import (
    CidrConflict,
    Conflict,
    FixedIpInvalid,
    InstanceNotFound,
    InvalidBridgeName,
    InvalidCidr,
    InvalidInput,
    NetworkInUse,
    NetworkNotFound,
)
from tests.db.conftest import (
    a_network,
    addresses_of,
    allocate,
    an_instance,
    contents,
    rows,
    some_uuid,
)


def test_network_is_what_was_asked_for(database):
    network = a_network(database, dns1="192.0.2.1", mtu=1400, project_id="p")
    assert network.netmask == "255.255.255.0"
    assert network.broadcast == "10.0.0.255"
    assert network.dhcp_start == "10.0.0.1"
    assert network.gateway is None
    assert (network.dns1, network.mtu) == ("192.0.2.1", 1400)
    assert network.multi_host is True
    assert network.enable_dhcp is True
    assert network.injected is False
    assert networks.list_all(database) == (network,)
    assert networks.get(database, "private") == network
    assert networks.get(database, network.uuid.upper()) == network


def test_large_network_has_no_row_per_address(database):
    a_network(database, cidr="10.1.0.0/16")
    assert rows(database, models.fixed_ips) == []


def test_gateway_that_is_given_is_set_aside(database):
    network = a_network(database, gateway="10.0.0.1")
    assert network.dhcp_start == "10.0.0.2"
    (row,) = rows(database, models.fixed_ips)
    assert (row["address"], row["reserved"]) == ("10.0.0.1", True)
    instance = an_instance(database)
    allocate(database, instance)
    assert addresses_of(database, instance) == ["10.0.0.3"]


@pytest.mark.parametrize(
    ("values", "first"),
    [
        ({"fixed_cidr": "10.0.0.128/25"}, "10.0.0.128"),
        ({"allowed_start": "10.0.0.10"}, "10.0.0.10"),
        (
            {"allowed_start": "10.0.0.9", "allowed_end": "10.0.0.10"},
            "10.0.0.9",
        ),
    ],
)
def test_pool_can_be_a_part(database, values, first):
    assert a_network(database, **values).dhcp_start == first


@pytest.mark.parametrize(
    ("error", "values"),
    [
        (InvalidCidr, {"cidr": "10.0.0.0/33"}),
        (InvalidCidr, {"cidr": "ten"}),
        (InvalidCidr, {"cidr": "10.0.0.1/24"}),
        (InvalidCidr, {"cidr": "fd00::/64"}),
        (InvalidCidr, {"cidr": "224.0.0.0/24"}),
        (InvalidCidr, {"cidr": "169.254.0.0/16"}),
        (InvalidCidr, {"cidr": "169.254.169.0/24"}),
        (InvalidCidr, {"cidr": "169.254.169.252/30"}),
        (InvalidCidr, {"cidr": "0.0.0.0/0"}),
        (InvalidCidr, {"cidr": "10.0.0.0/31"}),
        (InvalidCidr, {"cidr": "10.0.0.0/32"}),
        (InvalidCidr, {"cidr": "10.0.0.0/30", "gateway": "10.0.0.1"}),
        (
            InvalidCidr,
            {"allowed_start": "10.0.0.5", "allowed_end": "10.0.0.5"},
        ),
        (
            InvalidCidr,
            {"allowed_start": "10.0.0.9", "allowed_end": "10.0.0.5"},
        ),
        (InvalidCidr, {"fixed_cidr": "10.0.1.0/28"}),
        (InvalidCidr, {"cidr_v6": "10.9.0.0/24"}),
        (InvalidCidr, {"cidr_v6": "fd00::1/64"}),
        (InvalidBridgeName, {"bridge": ""}),
        (InvalidBridgeName, {"bridge": "sixteen-letters-"}),
        (InvalidBridgeName, {"bridge": "br/100"}),
        (InvalidBridgeName, {"bridge": "br 100"}),
        (InvalidBridgeName, {"bridge": "br\n100"}),
        (InvalidBridgeName, {"bridge": "."}),
        (InvalidBridgeName, {"bridge": ".."}),
        (InvalidBridgeName, {"bridge_interface": "sixteen-letters-"}),
        (InvalidBridgeName, {"bridge_interface": "br100"}),
        (FixedIpInvalid, {"gateway": "ten"}),
        (FixedIpInvalid, {"gateway": "10.0.1.1"}),
        (FixedIpInvalid, {"gateway": "10.0.0.0"}),
        (FixedIpInvalid, {"gateway": "10.0.0.255"}),
        (FixedIpInvalid, {"allowed_start": "10.0.1.1"}),
        (FixedIpInvalid, {"allowed_end": "ten"}),
        (FixedIpInvalid, {"dns1": "ten"}),
        (InvalidInput, {"label": ""}),
        (InvalidInput, {"label": "x" * 256}),
        (InvalidInput, {"mtu": 10}),
        (InvalidInput, {"uuid": "ten"}),
    ],
)
def test_bad_network_is_refused_and_changes_nothing(database, error, values):
    before = contents(database)
    with pytest.raises(error) as caught:
        a_network(database, **values)
    assert "\n" not in str(caught.value)
    assert contents(database) == before


def test_two_addresses_are_room_enough_and_one_without_dhcp(database):
    a_network(database, cidr="10.0.0.0/30")
    a_network(
        database,
        cidr="10.0.1.0/30",
        bridge="br101",
        gateway="10.0.1.1",
        enable_dhcp=False,
    )
    assert len(networks.list_all(database)) == 2


@pytest.mark.parametrize(
    ("error", "values"),
    [
        (CidrConflict, {"cidr": "10.0.0.0/24"}),
        (CidrConflict, {"cidr": "10.0.0.128/25"}),
        (CidrConflict, {"cidr": "10.0.0.0/8"}),
        (CidrConflict, {"cidr": "10.9.0.0/24", "cidr_v6": "fd00::/64"}),
        (Conflict, {"cidr": "10.9.0.0/24", "bridge": "br100"}),
        (Conflict, {"cidr": "10.9.0.0/24", "label": "private"}),
        (Conflict, {"cidr": "10.9.0.0/24", "bridge_interface": "eth1"}),
        (Conflict, {"cidr": "10.9.0.0/24", "bridge_interface": "br100"}),
        (Conflict, {"cidr": "10.9.0.0/24", "bridge": "eth1"}),
        (
            Conflict,
            {
                "cidr": "10.9.0.0/24",
                "uuid": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            },
        ),
    ],
)
def test_network_that_meets_another_is_refused(database, error, values):
    a_network(
        database,
        bridge_interface="eth1",
        cidr_v6="fd00::/64",
        uuid="6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    )
    before = contents(database)
    with pytest.raises(error, match="private"):
        a_network(database, **{"bridge": "br101", **values})
    assert contents(database) == before


def test_label_of_two_networks_is_no_name(database):
    """As two made before labels were unique, or plain SQL, may have it."""
    one = a_network(database)
    two = a_network(database, cidr="10.1.0.0/24", bridge="br101")
    same = sqlalchemy.update(models.networks).values(label="private")
    database.write(lambda connection: connection.execute(same))
    two = replace(two, label="private")
    with pytest.raises(Conflict, match=f"{one.uuid}, {two.uuid}"):
        networks.get(database, "private")
    assert networks.get(database, two.uuid) == two


def test_unknown_network(database):
    for reference in ("none", some_uuid()):
        with pytest.raises(NetworkNotFound, match=reference):
            networks.get(database, reference)
        with pytest.raises(NetworkNotFound, match=reference):
            networks.delete(database, reference)


def test_network_in_use_stays_and_else_all_of_it_goes(database):
    a_network(database, gateway="10.0.0.9")
    instance = an_instance(database)
    allocate(database, instance)
    with pytest.raises(NetworkInUse, match=instance.uuid):
        networks.delete(database, "private")
    deallocation.deallocate(database, instance_uuid=instance.uuid)
    networks.delete(database, "private")
    assert rows(database, models.networks) == []
    assert rows(database, models.fixed_ips) == []


def test_instances_by_uuid_id_and_hostname(database):
    one = an_instance(database)
    two = an_instance(database, hostname="vm_2", host="node2")
    assert instances.list_all(database) == (one, two)
    assert instances.list_all(database, "node2") == (two,)
    for reference in (one.uuid, one.uuid.upper(), one.id, str(one.id), "vm_1"):
        assert instances.get(database, reference) == one
    for reference in ("vm_3", some_uuid(), 2**40, -1):
        with pytest.raises(InstanceNotFound, match=str(reference)):
            instances.get(database, reference)


def test_hostname_of_two_instances_is_no_name(database):
    one, two = an_instance(database), an_instance(database)
    with pytest.raises(Conflict, match=f"{one.uuid}, {two.uuid}"):
        instances.get(database, "vm_1")


def test_bad_instance_is_refused(database):
    one = an_instance(database)
    with pytest.raises(Conflict, match=one.uuid):
        an_instance(database, uuid=one.uuid)
    for values in ({"hostname": ""}, {"host": "x" * 256}, {"uuid": "ten"}):
        with pytest.raises(InvalidInput):
            an_instance(database, **values)
    assert instances.list_all(database) == (one,)


def test_a_malformed_row_of_another_network_stops_no_creation(database):
    odd = a_network(database)
    database.write(
        lambda connection: connection.execute(
            sqlalchemy.update(models.networks)
            .where(models.networks.c.uuid == odd.uuid)
            .values(cidr="rubbish")
        )
    )
    made = a_network(database, cidr="10.9.0.0/24", bridge="br200")
    with pytest.raises(InvalidCidr, match="'rubbish'"):
        allocate(database, an_instance(database))
    mine = an_instance(database, hostname="vm_2")
    allocate(database, mine, requested=[(made.uuid, None)])
    assert addresses_of(database, mine) == ["10.9.0.2"]


@pytest.mark.parametrize(
    "name", ["br+", "br@1", "-br", "br%d", "brücke", "lo"]
)
def test_a_name_that_programs_read_otherwise_is_refused(database, name):
    """iptables takes br+ for every device whose name begins with br."""
    for field in ("bridge", "bridge_interface"):
        with pytest.raises(InvalidBridgeName):
            a_network(database, **{field: name})
