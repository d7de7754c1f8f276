"""The one server of a network: who it is, and by which address."""

from dataclasses import replace

import pytest
from sqlalchemy import delete, update

from flatnet.db import (
    deallocation,
    host_addresses,
    instance_info,
    models,
    networks,
    server_roles,
    snapshot,
)
from flatnet.exceptions import Conflict, InvalidInput, NetworkInUse
from flatnet.state.scope import EVERYTHING, Scope
from flatnet.state.taken_addresses import Taken
from tests.db.conftest import (
    a_network,
    addresses_of,
    allocate,
    an_instance,
    rows,
)
from tests.db.world import World

FIXED_IPS = models.fixed_ips
NETWORKS = models.networks


def shared(database, **values):
    return a_network(database, multi_host=False, **values)


def claim(database, network, host):
    return server_roles.claim(
        database, network_uuid=network.uuid, host=host, quarantine=600
    )


def write(database, **values):
    statement = update(NETWORKS).values(values)
    database.write(lambda c: c.execute(statement).rowcount)


def holders(database):
    """The addresses that have a host, each with it."""
    found = rows(database, models.fixed_ips)
    return {row["address"]: row["host"] for row in found if row["host"]}


def test_its_address_is_set_aside_before_anybody_claims_it(database):
    network = shared(database)
    assert (network.host, network.dhcp_server) == (None, "10.0.0.1")
    instance = an_instance(database)
    allocate(database, instance)
    assert addresses_of(database, instance) == ["10.0.0.2"]
    found = instance_info.of_instance(
        database, instance_uuid=instance.uuid, host="node1"
    )
    assert [row.dhcp_server for _, row, _ in found.networks] == ["10.0.0.1"]


def test_who_claims_it_first_has_it(database):
    network = shared(database)
    assert claim(database, network, "node1") is True
    assert claim(database, network, "node2") is False
    assert claim(database, network, "node1") is True
    assert networks.get(database, "private").host == "node1"
    assert holders(database) == {"10.0.0.1": "node1"}


@pytest.mark.parametrize(
    "values",
    [{"multi_host": True}, {"multi_host": False, "enable_dhcp": False}],
)
def test_nobody_claims_what_has_no_one_server(database, values):
    network = a_network(database, **values)
    assert claim(database, network, "node1") is False
    assert networks.get(database, "private").host is None


@pytest.mark.parametrize(
    ("column", "kept"),
    [(None, "10.0.0.2"), ("10.0.0.3", "10.0.0.2"), ("rubbish", "10.0.0.2")],
)
def test_a_row_without_an_address_that_it_can_have_gets_one(
    database, column, kept
):
    """One that an instance has stays that instance's."""
    network = shared(database)
    write(database, dhcp_server="10.0.0.9", host="node1")
    instance = an_instance(database)
    allocate(database, instance, requested=[(network.uuid, "10.0.0.3")])
    write(database, dhcp_server=column)
    assert claim(database, network, "node1") is True
    found = networks.get(database, "private")
    assert found.dhcp_server == kept
    assert holders(database) == {kept: "node1"}
    assert addresses_of(database, instance) == ["10.0.0.3"]


def test_a_row_moves_the_role_and_the_address_follows(database):
    network = shared(database)
    claim(database, network, "node1")
    server_roles.tell_mac(
        database, network_id=network.id, host="node1", mac="02:00:00:00:00:01"
    )
    write(database, host="node2")
    assert snapshot.read(database, "node1").networks == ()
    rows_of_2 = snapshot.read(database, "node2")
    assert rows_of_2.unclaimed == (network.uuid,)
    claim(database, network, "node2")
    found = snapshot.read(database, "node2")
    assert found.host_addresses == ((network.id, "10.0.0.1"),)
    assert found.unclaimed == ()
    assert holders(database) == {"10.0.0.1": "node2"}


def test_the_mac_of_a_former_server_is_nobodys(database):
    network = shared(database)
    claim(database, network, "node1")
    mac = "02:00:00:00:00:01"
    told = {"network_id": network.id, "mac": mac}
    server_roles.tell_mac(database, host="node1", **told)
    instance = an_instance(database, host="node3")
    allocate(database, instance)

    def known():
        (found,) = snapshot.read(database, "node3").networks
        return found.host, found.server_mac

    assert known() == ("node1", mac)
    write(database, host="node2")
    assert known() == ("node2", None)
    server_roles.tell_mac(database, host="node1", **told)
    claim(database, network, "node2")
    assert known() == ("node2", None)


def test_a_network_of_all_hosts_that_a_row_gives_to_one(database):
    """The address of that host stays the gateway of its guests."""
    network = a_network(database)
    for host in ("node1", "node2"):
        allocate(database, an_instance(database, host=host))
    assert holders(database) == {"10.0.0.1": "node1", "10.0.0.3": "node2"}
    write(database, multi_host=False, host="node2")
    claim(database, network, "node2")
    assert holders(database) == {"10.0.0.3": "node2"}
    assert networks.get(database, "private").dhcp_server == "10.0.0.3"


def test_only_what_nobody_is_in_changes_how_it_is_served(database):
    network = shared(database)
    claim(database, network, "node1")
    instance = an_instance(database)
    allocate(database, instance)
    with pytest.raises(NetworkInUse, match="has guests"):
        server_roles.set_mode(database, network.uuid, multi_host=True)
    deallocation.deallocate(database, instance_uuid=instance.uuid)
    found = server_roles.set_mode(database, network.uuid, multi_host=True)
    assert (found.multi_host, found.host) == (True, None)
    assert holders(database) == {}
    with pytest.raises(Conflict, match="--single-host"):
        server_roles.move(database, network.uuid, "node2")


def test_a_server_is_for_networks_that_have_one(database):
    with pytest.raises(InvalidInput, match="multi_host"):
        a_network(database, host="node1")
    found = shared(database, host="node7", dhcp_server="10.0.0.100")
    assert (found.host, found.dhcp_server) == ("node7", "10.0.0.100")
    assert server_roles.move(database, found.uuid, "node1")[1] == "node7"


def test_an_address_that_guests_know_is_not_swapped(database):
    network = shared(database)
    claim(database, network, "node1")
    taken = Taken(network.uuid, "10.0.0.1", "a route leads to it")
    of = {"host": "node1", "quarantine": 600}
    assert host_addresses.swap(database, taken=taken, **of) == "10.0.0.2"
    assert networks.get(database, "private").dhcp_server == "10.0.0.2"
    allocate(database, an_instance(database))
    taken = replace(taken, address="10.0.0.2")
    with pytest.raises(Conflict, match="gateway of all guests"):
        host_addresses.swap(database, taken=taken, **of)


def test_who_serves_an_instance_is_to_follow_its_end(database):
    network = shared(database)
    claim(database, network, "node1")
    instance = an_instance(database, host="node2")
    allocate(database, instance)
    hosts = deallocation.deallocate(database, instance_uuid=instance.uuid)
    assert hosts == ("node1", "node2")


def test_an_address_that_another_has_by_now_is_served_once(database):
    """Else dnsmasq would drop the lines of both."""
    world = World(database, multi_host=False)
    old, new = (an_instance(database, host="node2") for _ in range(2))
    for instance in (old, new):
        allocate(database, instance)
    world.look(EVERYTHING)
    (address,) = addresses_of(database, old)
    deallocation.deallocate(database, instance_uuid=old.uuid)
    world.write(delete(FIXED_IPS).where(FIXED_IPS.c.address == address))
    mine = FIXED_IPS.c.instance_uuid == new.uuid
    world.write(update(FIXED_IPS).where(mine).values(address=address))
    world.look(Scope(instances=frozenset((new.uuid,))))
    served = world.planned.parts.served.values()
    assert [each.dhcp.instance_uuid for each in served] == [new.uuid]
