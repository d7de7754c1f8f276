"""What nova-network did wrong with its rows to its end, on each database."""

import threading

import pytest
import sqlalchemy
from sqlalchemy import text

from flatnet.db import deallocation, models
from flatnet.db.engine import Database
from flatnet.exceptions import FixedIpAlreadyInUse
from tests.db.conftest import (
    QUARANTINE,
    a_network,
    addresses_of,
    age,
    allocate,
    an_instance,
    rows,
)


def test_an_address_that_two_ask_for_at_once_is_one_instances(url, database):
    """Both of nova's had it, and the last one's row stood."""
    network = a_network(database)
    meeting = threading.Barrier(4)
    refused = []

    def ask(number):
        mine = Database(url)
        instance = an_instance(mine, hostname=f"vm_{number}")
        meeting.wait(10)
        try:
            allocate(mine, instance, requested=[(network.uuid, "10.0.0.9")])
        except FixedIpAlreadyInUse:
            refused.append(number)
        finally:
            mine.close()

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert len(refused) == 3
    (row,) = rows(database, models.fixed_ips, address="10.0.0.9")
    assert row["instance_uuid"]
    assert len(rows(database, models.virtual_interfaces)) == 1


def test_the_address_of_a_bridge_is_not_to_be_had_by_name(database):
    network = a_network(database)
    allocate(database, an_instance(database))
    with pytest.raises(FixedIpAlreadyInUse, match="bridge's on node1"):
        allocate(
            database,
            an_instance(database, hostname="vm_2"),
            requested=[(network.uuid, "10.0.0.1")],
        )


def test_a_host_never_has_two_bridge_addresses_in_a_network(database):
    """nova's managers each took one where they asked at once."""
    network = a_network(database)
    allocate(database, an_instance(database))
    second = text(
        "INSERT INTO fixed_ips (address, position, network_id, host) "
        "VALUES ('10.0.0.77', 77, :network, 'node1')"
    )
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        database.write(
            lambda c: c.execute(second, {"network": network.id}).rowcount
        )


@pytest.mark.parametrize("gone", ["row", "host"])
def test_no_address_is_lost_with_an_instances_row_or_its_host(database, gone):
    """nova's reclaimer passed both over, for ever."""
    a_network(database, cidr="10.0.0.0/29")
    instance = an_instance(database)
    allocate(database, instance)
    (address,) = addresses_of(database, instance)
    mine = models.instances.c.uuid == instance.uuid
    away = (
        sqlalchemy.delete(models.instances).where(mine)
        if gone == "row"
        else sqlalchemy.update(models.instances).where(mine).values(host=None)
    )
    database.write(lambda c: c.execute(away).rowcount)
    deallocation.deallocate(database, instance_uuid=instance.uuid)
    age(database, QUARANTINE + 1)
    others = [an_instance(database, hostname=f"vm{n}") for n in range(5)]
    for each in others:
        allocate(database, each)
    assert [address] in [addresses_of(database, each) for each in others]
