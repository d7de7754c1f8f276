"""Addresses that are somebody else's: set aside with the reason."""

import pytest
from sqlalchemy import update

from flatnet.db import host_addresses, models, reservations
from flatnet.exceptions import (
    FixedIpAlreadyInUse,
    NetworkNotFound,
    NoMoreFixedIps,
)
from flatnet.state.taken_addresses import InUse, Taken
from tests.db.conftest import (
    a_network,
    addresses_of,
    allocate,
    an_instance,
    rows,
    some_uuid,
)

BROKER = InUse("10.0.0.1", "the broker")
DATABASE = InUse("10.0.0.3", "the database")
ELSEWHERE = InUse("192.0.2.1", "the default router")
STRANGER = "52:54:00:00:00:99 answers for it"


def reserved(database, network):
    """What is set aside, and why."""
    return reservations.reasons(database, network.id)


def bridge_address(database, host="node1"):
    found = rows(database, models.fixed_ips, host=host)
    return [row["address"] for row in found]


def swap(database, network, address, *, answered=True, host="node1"):
    return host_addresses.swap(
        database,
        taken=Taken(network.uuid, address, STRANGER, answered=answered),
        host=host,
        quarantine=600,
    )


def test_what_a_host_depends_on_is_given_to_nobody(database):
    network = a_network(database)
    instance = an_instance(database)
    in_use = (BROKER, DATABASE, ELSEWHERE)
    allocate(database, instance, in_use=in_use)
    assert bridge_address(database) == ["10.0.0.2"]
    assert addresses_of(database, instance) == ["10.0.0.4"]
    assert reserved(database, network) == {
        "10.0.0.1": "the broker of host node1",
        "10.0.0.3": "the database of host node1",
    }
    # Asked again it is the same, and other hosts know it too.
    allocate(database, instance, in_use=in_use)
    other = an_instance(database, hostname="vm_2", host="node2")
    allocate(database, other)
    assert addresses_of(database, other) == ["10.0.0.6"]
    requested = [(network.uuid, "10.0.0.1")]
    third = an_instance(database, hostname="vm_3")
    with pytest.raises(
        FixedIpAlreadyInUse, match="reserved: the broker of host node1"
    ):
        allocate(database, third, requested=requested)


def test_whoever_has_an_address_keeps_it(database):
    network = a_network(database)
    instance = an_instance(database)
    allocate(database, instance)
    in_use = (InUse("10.0.0.1", "my_ip"), InUse("10.0.0.2", "the broker"))
    reservations.ensure(
        database, network_uuid=network.uuid, host="node1", in_use=in_use
    )
    assert bridge_address(database) == ["10.0.0.1"]
    assert addresses_of(database, instance) == ["10.0.0.2"]
    assert reserved(database, network) == {}


def test_a_bridge_gives_up_what_a_machine_has(database):
    network = a_network(database)
    instance = an_instance(database)
    allocate(database, instance)
    assert swap(database, network, "10.0.0.1") == "10.0.0.3"
    assert bridge_address(database) == ["10.0.0.3"]
    assert reserved(database, network) == {
        "10.0.0.1": f"on the segment: {STRANGER}"
    }
    # Told twice, it is given up once.
    assert swap(database, network, "10.0.0.1") == "10.0.0.3"
    assert addresses_of(database, instance) == ["10.0.0.2"]


def test_a_machine_that_answers_for_all_gets_few(database):
    """Whatever host asks; what nobody but rows says is without limit."""
    network = a_network(database)
    for host in ("node1", "node2"):
        instance = an_instance(database, hostname=f"on_{host}", host=host)
        allocate(database, instance)
    held = bridge_address(database)[0]
    for _ in range(reservations.MOST_ANSWERED):
        held = swap(database, network, held)
    assert held is not None
    assert swap(database, network, held) is None
    (theirs,) = bridge_address(database, "node2")
    assert swap(database, network, theirs, host="node2") is None
    assert bridge_address(database) == [held]
    assert swap(database, network, held, answered=False)


def test_after_an_hour_it_is_believed_again(database):
    network = a_network(database)
    allocate(database, an_instance(database))
    held = "10.0.0.1"
    for _ in range(reservations.MOST_ANSWERED):
        held = swap(database, network, held)
    assert swap(database, network, held) is None

    long_ago(database, "10.0.0.1")
    assert swap(database, network, held) is not None


def long_ago(database, *addresses):
    """Let what became of addresses be years ago."""
    table = models.fixed_ips

    def run(connection):
        chosen = table.select().where(table.c.address.in_(addresses))
        for row in connection.execute(chosen).all():
            connection.execute(
                update(table)
                .where(table.c.id == row.id)
                .values(updated_at=row.updated_at.replace(year=2020))
            )

    database.write(run)


def test_in_all_it_gets_a_share(database):
    """However long it goes on: the pool is for instances."""
    network = a_network(database, cidr="10.0.0.0/26")
    instance = an_instance(database)
    allocate(database, instance)
    held = "10.0.0.1"
    taken = []
    while held is not None and len(taken) < 64:
        taken.append(held)
        held = swap(database, network, held)
        long_ago(database, *taken)
    assert len(reserved(database, network)) == 64 // 8
    # What rows say is without limit, and others are served.
    assert swap(database, network, taken[-1], answered=False)
    other = an_instance(database, hostname="vm_2")
    allocate(database, other)
    assert addresses_of(database, other)


def test_a_pool_that_is_exhausted_keeps_its_rows(database):
    network = a_network(database, cidr="10.0.0.0/30")
    allocate(database, an_instance(database))
    with pytest.raises(NoMoreFixedIps, match="for the bridge of host node1"):
        swap(database, network, "10.0.0.1")
    assert bridge_address(database) == ["10.0.0.1"]
    assert reserved(database, network) == {}


def test_a_network_that_went_has_nothing_to_give_up(database):
    taken = Taken(some_uuid(), "10.0.0.1", STRANGER)
    with pytest.raises(NetworkNotFound):
        host_addresses.swap(
            database, taken=taken, host="node1", quarantine=600
        )
