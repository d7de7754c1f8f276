"""The IPv6 address of each interface: written and freed with the others."""

import pytest
import sqlalchemy

from flatnet.cmd.dual_stack_rows import DualStackRows
from flatnet.db import allocation, deallocation, ipv6_rows, models, networks
from flatnet.exceptions import FixedIpInvalid, InvalidCidr
from flatnet.plan.kept_rows import Kept
from flatnet.state.scope import EVERYTHING, of_instance
from tests.db.conftest import (
    HOLDER,
    a_network,
    an_instance,
    contents,
    rows,
)

PREFIX = "2001:db8:0:1::/64"
MAC, ADDRESS = "fa:16:3e:00:00:01", "2001:db8:0:1:f816:3eff:fe00:1"
DUAL = allocation.Placing("node1", use_ipv6=True)
SINGLE = allocation.Placing("node1")


def allocated(database, instance, placement=DUAL):
    """The addresses that a call to allocate is told of, by interface."""
    served = allocation.allocate(
        database, instance_uuid=instance.uuid, placement=placement, macs=[MAC]
    )
    return [each.addresses for each, _, _ in served.networks]


def six(database):
    """The rows of IPv6."""
    return [
        row for row in rows(database, models.fixed_ips) if row["position"] < 0
    ]


def test_it_comes_and_goes_with_the_ipv4_one(database):
    a_network(database, cidr_v6=PREFIX)
    instance = an_instance(database)
    assert allocated(database, instance) == [("10.0.0.2", ADDRESS)]
    before = contents(database)
    assert allocated(database, instance) == [("10.0.0.2", ADDRESS)]
    assert contents(database) == before
    (row,) = six(database)
    (vif,) = rows(database, models.virtual_interfaces)
    wanted = {
        "address": ADDRESS,
        "allocated": True,
        "virtual_interface_id": vif["id"],
        "instance_uuid": instance.uuid,
    }
    assert wanted.items() <= row.items()
    deallocation.deallocate(database, instance_uuid=instance.uuid)
    assert six(database) == []
    # The same MAC again.
    again = an_instance(database)
    assert allocated(database, again) == [("10.0.0.3", ADDRESS)]


def test_what_has_no_range_or_no_option_has_none(database):
    a_network(database)
    a_network(
        database, label="six", cidr="10.1.0.0/24", bridge="br6", cidr_v6=PREFIX
    )
    instance = an_instance(database)
    assert allocated(database, instance, SINGLE) == [
        ("10.0.0.2",),
        ("10.1.0.2",),
    ]
    assert six(database) == []
    assert len(allocated(database, instance)[0]) == 1
    assert len(six(database)) == 1


def test_pools_do_not_see_it(database):
    """Nor is it what is leased, however many come and go beside it."""
    network = a_network(database, cidr="10.0.0.0/29", cidr_v6=PREFIX)
    instance = an_instance(database)
    placement = allocation.Placing("node1", quarantine=0, use_ipv6=True)
    allocated(database, instance, placement)
    for _ in range(4):
        served, _ = allocation.add_address(
            database,
            instance_uuid=instance.uuid,
            network_uuid=network.uuid,
            placement=placement,
        )
    ((interface, _, _),) = served.networks
    mine = tuple(f"10.0.0.{each}" for each in range(2, 7))
    assert interface.addresses == (*mine, ADDRESS)
    with pytest.raises(FixedIpInvalid, match="last IPv4"):
        _remove(database, instance, ADDRESS)
    for each in mine:
        assert len(six(database)) == 1
        _remove(database, instance, each)
    assert six(database) == []
    served, _ = allocation.add_address(
        database,
        instance_uuid=instance.uuid,
        network_uuid=network.uuid,
        placement=placement,
    )
    ((interface, _, _),) = served.networks
    assert interface.addresses[1:] == (ADDRESS,)
    deallocation.deallocate(database, instance_uuid=instance.uuid)
    networks.delete(database, network.uuid)
    assert rows(database, models.networks) == []
    assert six(database) == []


def _remove(database, instance, address):
    allocation.remove_address(
        database, instance_uuid=instance.uuid, address=address
    )


def _change(database, statement):
    database.write(lambda connection: connection.execute(statement))


def test_who_was_there_before_gets_one_from_its_host(database):
    network = a_network(database)
    here, there = an_instance(database), an_instance(database, host="node2")
    allocated(database, here, SINGLE)
    allocation.allocate(
        database,
        instance_uuid=there.uuid,
        placement=allocation.Placing("node2"),
    )
    _change(
        database,
        sqlalchemy.update(models.networks).values(cidr_v6=PREFIX),
    )
    host = DualStackRows(database, "node1", holder=HOLDER)
    found = host.read(EVERYTHING, Kept())
    (mine,) = found.interfaces.values()
    assert mine.addresses == ("10.0.0.2", ADDRESS)
    before = contents(database)
    assert host.read(EVERYTHING, found) is found
    assert contents(database) == before
    assert [row["instance_uuid"] for row in six(database)] == [here.uuid]
    # A MAC that somebody changed.
    vif = models.virtual_interfaces
    _change(
        database,
        sqlalchemy.update(vif)
        .where(vif.c.instance_uuid == here.uuid)
        .values(address="fa:16:3e:00:00:09"),
    )
    found = host.read(of_instance(here.uuid), found)
    (mine,) = found.interfaces.values()
    assert mine.addresses[1:] == ("2001:db8:0:1:f816:3eff:fe00:9",)
    assert len(six(database)) == 1
    # Whoever has it without the option keeps it, and lets it go.
    assert len(allocated(database, here, SINGLE)[0]) == 2
    deallocation.deallocate(database, instance_uuid=here.uuid)
    assert six(database) == []
    assert network.cidr_v6 is None


def test_one_that_is_left_over_is_in_nobodys_way(database):
    """Released while its network had no range."""
    a_network(database, cidr_v6=PREFIX)
    instance = an_instance(database)
    allocated(database, instance)
    range_is = sqlalchemy.update(models.networks)
    _change(database, range_is.values(cidr_v6=None))
    deallocation.deallocate(database, instance_uuid=instance.uuid)
    assert [row["allocated"] for row in six(database)] == [False]
    _change(database, range_is.values(cidr_v6=PREFIX))
    again = an_instance(database)
    assert allocated(database, again)[0][1:] == (ADDRESS,)
    assert [row["instance_uuid"] for row in six(database)] == [again.uuid]


def test_positions_are_of_macs_alone():
    macs = ("00:00:00:00:00:00", MAC, "ff:ff:ff:ff:ff:ff")
    found = [ipv6_rows.position(each) for each in macs]
    assert found == [-1, -0xFA163E000002, -(1 << 48)]


@pytest.mark.parametrize(
    ("values", "kind", "text"),
    [
        ({"cidr_v6": "2001:db8::/48"}, InvalidCidr, "is no /64"),
        ({"cidr_v6": "fe80::/64"}, InvalidCidr, "no range for hosts"),
        ({"cidr_v6": "2001:db8::1/64"}, InvalidCidr, "host bits"),
        ({"gateway_v6": "2001:db8::1"}, FixedIpInvalid, "no cidr_v6"),
        (
            {"cidr_v6": PREFIX, "gateway_v6": "2001:db8::1"},
            FixedIpInvalid,
            "neither in 2001:db8:0:1::/64 nor link-local",
        ),
        (
            {"cidr_v6": PREFIX, "gateway_v6": "10.0.0.1"},
            FixedIpInvalid,
            "not an IPv6 address",
        ),
    ],
)
def test_a_range_that_macs_make_nothing_in_is_refused(
    database, values, kind, text
):
    with pytest.raises(kind, match=text):
        a_network(database, **values)
    made = a_network(database, cidr_v6=PREFIX, gateway_v6="fe80::1")
    assert (made.cidr_v6, made.gateway_v6) == (PREFIX, "fe80::1")
