"""Floating addresses in the rows: pools, projects, and where they lead."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from flatnet import exceptions
from flatnet.db import (
    allocation,
    deallocation,
    floating_ips,
    floating_lists,
    floating_pools,
    models,
    networks,
)
from flatnet.db.engine import Database
from flatnet.db.floating_ips import Led
from flatnet.state.requester import Requester
from tests.db.conftest import (
    a_network,
    addresses_of,
    allocate,
    an_instance,
    contents,
    rows,
)

ADMIN = Requester(is_admin=True)
DEMO, OTHER = Requester("demo"), Requester("other")
FIRST = "203.0.113.1"


@pytest.fixture
def pool(database):
    """The pool `nova`, with six addresses."""
    floating_pools.create(database, name="nova", cidr="203.0.113.0/29")
    return database


@pytest.fixture
def guest(pool):
    """An instance of demo on node1, which has an address."""
    a_network(pool)
    made = an_instance(pool)
    allocate(pool, made)
    return made


def _take(database, project="demo", **values):
    return floating_ips.allocate(
        database, pool="nova", project_id=project, **values
    )


def _lead(database, guest, address=FIRST, requester=DEMO, **values):
    (fixed,) = addresses_of(database, guest)
    return floating_ips.associate(
        database,
        address=address,
        fixed_address=fixed,
        requester=requester,
        **values,
    )


def test_a_pool_has_the_addresses_of_hosts(pool):
    found = rows(pool, models.floating_ips)
    assert [each["address"] for each in found] == [
        f"203.0.113.{number}" for number in range(1, 7)
    ]
    floating_pools.create(
        pool, name="nova", cidr="198.51.100.7/32", interface="eth2"
    )
    assert floating_pools.list_all(pool) == tuple(
        floating_pools.Pool("nova", *each)
        for each in sorted(
            [(None, 6, 0), ("eth2", 1, 0)],
            key=lambda each: (
                each[0] is None
                if pool.dialect == "postgresql"
                else each[0] is not None
            ),
        )
    )


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"cidr": "203.0.113.4/30"}, exceptions.FloatingIpExists),
        ({"cidr": "10.0.0.128/25"}, exceptions.CidrConflict),
        ({"cidr": "10.0.0.0/8"}, exceptions.InvalidCidr),
        ({"cidr": "203.0.113.9/29"}, exceptions.InvalidCidr),
        ({"cidr": "nonsense"}, exceptions.InvalidCidr),
        ({"name": ""}, exceptions.InvalidInput),
        ({"interface": "eth0:1"}, exceptions.InvalidBridgeName),
    ],
)
def test_what_cannot_be_a_pool_is_refused(pool, values, error):
    a_network(pool)
    before = contents(pool)
    given = {"name": "second", "cidr": "198.51.100.0/24", **values}
    with pytest.raises(error):
        floating_pools.create(pool, **given)
    assert contents(pool) == before


def test_a_network_cannot_hold_a_floating_address(pool):
    with pytest.raises(exceptions.CidrConflict, match="pool nova"):
        networks.create(
            pool, label="wide", cidr="203.0.0.0/16", bridge="br100"
        )


def test_the_lowest_is_allocated_and_comes_back(pool):
    assert [_take(pool), _take(pool)] == [FIRST, "203.0.113.2"]
    for _ in range(2):
        floating_ips.deallocate(pool, address=FIRST, requester=ADMIN)
    assert _take(pool, "other") == FIRST
    with pytest.raises(exceptions.Forbidden):
        floating_ips.deallocate(pool, address=FIRST, requester=DEMO)
    with pytest.raises(exceptions.Forbidden, match="nobody's"):
        floating_ips.deallocate(pool, address="203.0.113.5", requester=DEMO)


def test_a_pool_that_is_used_up_or_not_there(pool):
    for _ in range(6):
        _take(pool)
    with pytest.raises(exceptions.NoMoreFloatingIps):
        _take(pool)
    with pytest.raises(exceptions.FloatingIpPoolNotFound):
        floating_ips.allocate(pool, pool="none", project_id="demo")
    with pytest.raises(exceptions.Forbidden):
        _take(pool, None)


def test_a_pool_goes_once_nobody_has_of_it(pool):
    _take(pool)
    with pytest.raises(exceptions.FloatingIpAssociated, match="of project"):
        floating_pools.delete(pool, "nova")
    floating_ips.deallocate(pool, address=FIRST, requester=DEMO)
    floating_pools.delete(pool, "nova")
    with pytest.raises(exceptions.FloatingIpPoolNotFound):
        floating_pools.delete(pool, "nova")


def test_many_at_once_get_one_each(pool, url):
    floating_pools.create(pool, name="nova", cidr="198.51.100.0/28")

    def run(_):
        own = Database(url)
        try:
            return _take(own)
        finally:
            own.close()

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(run, range(20)))
    assert len({*found}) == 20


def test_it_leads_to_one_at_a_time(guest, pool):
    _take(pool)
    assert _lead(pool, guest) == Led(None, guest.uuid)
    assert _lead(pool, guest) == Led(None, guest.uuid)
    found = floating_lists.get(pool, FIRST)
    assert (found.instance_uuid, found.host) == (guest.uuid, "node1")
    second = an_instance(pool, hostname="vm_2", host="node2")
    allocate(pool, second)
    assert _lead(pool, second) == Led(guest.uuid, second.uuid)
    assert floating_lists.get(pool, FIRST).host == "node2"
    with pytest.raises(exceptions.FloatingIpAssociated):
        floating_ips.deallocate(pool, address=FIRST, requester=DEMO)
    gone = floating_ips.disassociate(pool, address=FIRST, requester=DEMO)
    assert gone == Led(second.uuid)
    with pytest.raises(exceptions.FloatingIpNotAssociated):
        floating_ips.disassociate(pool, address=FIRST, requester=DEMO)


def test_nobody_leads_what_is_another_projects(guest, pool):
    _take(pool)
    before = contents(pool)
    with pytest.raises(exceptions.Forbidden):
        _lead(pool, guest, requester=OTHER)
    _take(pool, "other")
    with pytest.raises(exceptions.Forbidden):
        _lead(pool, guest, address="203.0.113.2", requester=OTHER)
    with pytest.raises(exceptions.Forbidden):
        floating_ips.disassociate(pool, address=FIRST, requester=Requester())
    with pytest.raises(exceptions.FloatingIpAssociateFailed):
        _lead(pool, guest, address="203.0.113.6", requester=ADMIN)
    assert _led(contents(pool)) == _led(before)
    assert _lead(pool, guest, address="203.0.113.2", requester=ADMIN).now


def _led(found):
    return [each["fixed_ip_id"] for each in found["floating_ips"]]


def test_what_is_none_is_named(guest, pool):
    with pytest.raises(exceptions.FloatingIpNotFoundForAddress):
        _lead(pool, guest, address="192.0.2.1")
    _take(pool)
    with pytest.raises(exceptions.FixedIpNotFoundForAddress):
        floating_ips.associate(
            pool, address=FIRST, fixed_address="x", requester=ADMIN
        )
    with pytest.raises(exceptions.FloatingIpNotFound):
        floating_lists.get_by_id(pool, 10**6)


def test_who_goes_leaves_it_to_its_project(guest, pool):
    _take(pool)
    _take(pool, auto_assigned=True)
    _lead(pool, guest)
    assert _lead(pool, guest, address="203.0.113.2") == Led()
    came = {"address": "203.0.113.2", "affect_auto_assigned": True}
    _lead(pool, guest, **came)
    with pytest.raises(exceptions.CannotDisassociateAutoAssignedFloatingIP):
        floating_ips.disassociate(pool, address="203.0.113.2", requester=DEMO)
    deallocation.deallocate(pool, instance_uuid=guest.uuid)
    (left,) = floating_lists.list_all(pool)
    assert (left.address, left.fixed_ip_id) == (FIRST, None)
    (left,) = floating_lists.list_all(pool, project_id="demo")
    assert left.host is None


def test_an_address_that_goes_takes_its_own_along(guest, pool):
    _take(pool)
    _lead(pool, guest)
    (fixed,) = addresses_of(pool, guest)
    allocation.remove_address(pool, instance_uuid=guest.uuid, address=fixed)
    assert floating_lists.get(pool, FIRST).fixed_address is None
    assert floating_lists.of_fixed_address(pool, fixed) == ()


def test_what_no_floating_address_may_lead_to(pool):
    """What a MAC makes, and who has his gateway on another host."""
    six = a_network(pool, cidr_v6="fd00::/64")
    one = a_network(
        *(pool,),
        cidr="10.1.0.0/24",
        bridge="br101",
        multi_host=False,
        host="node7",
    )
    made = an_instance(pool)
    wanted = [(six.uuid, None), (one.uuid, None)]
    allocate(pool, made, requested=wanted, use_ipv6=True)
    _take(pool)
    lead = {"address": FIRST, "requester": DEMO}
    [mine] = [a for a in addresses_of(pool, made) if ":" in a]
    with pytest.raises(exceptions.FixedIpNotFoundForAddress, match="fd00"):
        floating_ips.associate(pool, fixed_address=mine, **lead)
    [mine] = [a for a in addresses_of(pool, made) if a.startswith("10.1.")]
    refused = exceptions.FloatingIpAssociateFailed
    with pytest.raises(refused, match="node7 serves for all"):
        floating_ips.associate(pool, fixed_address=mine, **lead)
    deallocation.deallocate(pool, instance_uuid=made.uuid)
    assert addresses_of(pool, made) == []
