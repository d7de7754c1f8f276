"""What interfaces may send and take: given once, and kept until another is."""

from flatnet.db import allocation, scoped, snapshot
from flatnet.db.batch import Batch
from flatnet.db.orders import Order, Placing
from flatnet.state.scope import KnownGroups, of_instance
from tests.db.conftest import a_network, an_instance

NOBODY = KnownGroups(frozenset(), frozenset(), frozenset())
HERE = Placing("node1")


def served(database, *orders):
    """What the first order's instance may send and take by the answer."""
    answers, _ = allocation.allocate_all(database, Batch(list(orders)), HERE)
    return [rate(interface) for interface, _, _ in answers[0].networks]


def rate(interface):
    return interface.rxtx_factor, interface.port_rate


def test_a_rate_is_kept_until_another_is_given(database):
    a_network(database)
    second = a_network(database, label="b", cidr="10.1.0.0/24", bridge="br101")
    instance, other = an_instance(database), an_instance(database)
    uuid = instance.uuid
    given = [
        ({}, (None, None)),
        ({"rxtx_factor": 2.5}, (2.5, None)),
        ({}, (2.5, None)),
        ({"port_rate": 10_000_000_000}, (2.5, 10_000_000_000)),
        ({"rxtx_factor": 1.0, "port_rate": 0}, (1.0, 0)),
    ]
    for order, expected in given:
        beside = Order(other.uuid, rxtx_factor=9.0)
        wanted = Order(uuid, **order)
        assert served(database, wanted, beside) == [expected, expected]
        read = snapshot.read(database, "node1").interfaces
        mine = [each for each in read if each.instance_uuid == uuid]
        assert [rate(each) for each in mine] == [expected, expected]
        seen, _ = scoped.read(database, "node1", of_instance(uuid), NOBODY)
        assert seen.interfaces == tuple(mine)
    allocation.remove_address(
        database, instance_uuid=uuid, address=mine[1].addresses[0]
    )
    allocation.add_address(
        database,
        instance_uuid=uuid,
        network_uuid=second.uuid,
        placement=HERE,
    )
    assert served(database, Order(uuid)) == [(1.0, 0), (1.0, 0)]


def test_a_new_interface_has_the_rate_of_the_first(database):
    first = a_network(database)
    instance = an_instance(database)
    named = ((first.uuid, None),)
    order = Order(instance.uuid, named, rxtx_factor=0.5)
    assert served(database, order) == [(0.5, None)]
    second = a_network(database, label="b", cidr="10.1.0.0/24", bridge="br101")
    allocation.add_address(
        database,
        instance_uuid=instance.uuid,
        network_uuid=second.uuid,
        placement=HERE,
    )
    assert served(database, Order(instance.uuid)) == [(0.5, None)] * 2
