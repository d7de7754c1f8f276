"""What is said of leases, also late, twice, and by the wrong one."""

import pytest
from sqlalchemy import update

from flatnet.db import deallocation, leases, models
from tests.db.conftest import (
    a_network,
    allocate,
    an_instance,
    contents,
    rows,
)

FIXED_IPS = models.fixed_ips
OLD, NEW = "fa:16:3e:00:00:01", "fa:16:3e:00:00:02"
ADDRESS = {"address": "10.0.0.2"}


@pytest.fixture
def network(database):
    return a_network(database)


@pytest.fixture
def instance(database, network):
    """One that has the address, by the old MAC."""
    instance = an_instance(database)
    allocate(database, instance, macs=[OLD])
    return instance


def row(database):
    (found,) = rows(database, FIXED_IPS, **ADDRESS)
    return found


def test_a_lease_begins_and_ends(database, instance):
    for _ in range(2):
        assert leases.lease(database, **ADDRESS, mac=OLD)
        assert row(database)["leased"]
    for _ in range(2):
        assert leases.release(database, **ADDRESS, mac=OLD)
        assert not row(database)["leased"]
    assert row(database)["instance_uuid"] == instance.uuid
    # Who does not say his MAC is believed that it is leased.
    assert leases.lease(database, **ADDRESS, mac=None)
    assert row(database)["leased"]


def test_a_late_word_of_the_holder_before_changes_nothing(
    database, instance, network
):
    deallocation.deallocate(database, instance_uuid=instance.uuid)
    heir = an_instance(database)
    wanted = [(network.uuid, "10.0.0.2")]
    allocate(database, heir, requested=wanted, macs=[NEW], quarantine=0)
    assert leases.lease(database, **ADDRESS, mac=NEW)
    before = contents(database)
    for say in (leases.lease, leases.release):
        assert not say(database, **ADDRESS, mac=OLD)
        assert not say(database, address="10.0.0.1", mac=OLD)
        assert not say(database, address="10.9.9.9", mac=OLD)
        assert not say(database, address="nonsense", mac=OLD)
    assert contents(database) == before


@pytest.mark.parametrize("keeps_interface", [True, False])
def test_one_that_waits_for_its_release_is_free_then(
    database, instance, keeps_interface
):
    """As nova leaves it: deallocated, and leased still."""
    values = {"allocated": False, "leased": True}
    if not keeps_interface:
        values["virtual_interface_id"] = None
    waiting = update(FIXED_IPS).where(FIXED_IPS.c.address == "10.0.0.2")
    database.write(lambda c: c.execute(waiting.values(values)).rowcount)
    assert not leases.release(database, **ADDRESS, mac=NEW)
    assert row(database)["instance_uuid"] == instance.uuid
    assert leases.release(database, **ADDRESS, mac=OLD)
    free = row(database)
    assert (free["instance_uuid"], free["leased"]) == (None, False)
    assert free["virtual_interface_id"] is None
    assert not leases.release(database, **ADDRESS, mac=OLD)
