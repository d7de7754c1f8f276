"""A nova-network's rows become flatnet's, of Essex and of Train."""

import pytest
import sqlalchemy as sa

from flatnet.db import (
    floating_pools,
    models,
    networks,
    security_groups,
    snapshot,
)
from flatnet.db.drivers import parsed_url
from flatnet.db.nova import importing, source
from flatnet.exceptions import (
    ConfigurationError,
    DatabaseUnavailable,
    SchemaMismatch,
)
from tests.builders import settings
from tests.db.conftest import allocate, an_instance, contents, rows
from tests.db.nova_cloud import (
    NETWORK,
    RESERVED,
    SECOND,
    UNKNOWN,
    VIF_1,
    VIF_2,
    VM_1,
    VM_2,
    address,
    fill,
    held,
)
from tests.db.nova_database import ESSEX, TRAIN, NovaDatabase
from tests.planned import host_plan

KEPT = {
    "networks": 2,
    "virtual_interfaces": 2,
    "fixed_ips": 9,
    "floating_ips": 2,
    "security_groups": 2,
    "security_group_rules": 3,
    "security_group_instance_association": 3,
}
# Where releases make no difference.
of_train = pytest.mark.parametrize("nova", [TRAIN], indirect=True)


@pytest.fixture
def nova_url(url, tmp_path):
    """The URL of an empty database on the same server as flatnet's."""
    flatnet = parsed_url(url)
    if flatnet.get_backend_name() == "sqlite":
        yield f"sqlite:///{tmp_path}/nova.sqlite"
        return
    engine = sa.create_engine(flatnet, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE nova")
        whole = flatnet.set(database="nova")
        yield whole.render_as_string(hide_password=False)
        connection.exec_driver_sql("DROP DATABASE nova")
    engine.dispose()


@pytest.fixture(params=(ESSEX, TRAIN))
def nova(nova_url, request):
    found = NovaDatabase(nova_url, request.param)
    fill(found)
    yield found
    found.close()


@pytest.fixture
def guests(database):
    """The instances that the compute service has written."""
    for number, uuid in enumerate((VM_1, VM_2), 1):
        an_instance(
            database, uuid=uuid, hostname=f"vm_{number}", host=f"node{number}"
        )


def take_over(database, nova, *, dhcp=True):
    return importing.take_over(database, source.read(nova.url), dhcp=dhcp)


def reasons(report):
    return [each.reason for each in report.refused]


def test_what_can_be_kept_is_and_the_rest_has_a_name(database, nova, guests):
    read = source.read(nova.url)
    before = contents(database)
    shown = importing.preview(database, read, dhcp=True)
    assert contents(database) == before
    done = take_over(database, nova)
    assert shown == done
    assert (done.kept, done.new) == (KEPT, KEPT)
    assert reasons(done) == [
        "network tenant (00000003-bbbb-4bbb-8bbb-00000000000a): it is VLAN "
        "102 of nova's VlanManager, and flatnet has flat networks only",
        f"network inside (00000004-bbbb-4bbb-8bbb-00000000000a): "
        f"10.20.0.128/25 overlaps 10.20.0.0/24 of network private ({NETWORK})",
        f"interface 00000007-aaaa-4aaa-8aaa-000000000000 (fa:16:3e:00:00:07) "
        f"of instance {UNKNOWN}: flatnet's table instances holds no such "
        "living instance: have the compute service write its row first",
        f"interface 0000001e-aaaa-4aaa-8aaa-000000000000 (fa:16:3e:00:00:1e) "
        f"of instance {VM_1}: its network is not kept",
        f"address 10.20.0.7 of instance {UNKNOWN}: flatnet's table instances "
        "holds no such living instance: have the compute service write its "
        "row first",
        "address 10.20.0.8 of host node1: the bridge of host node1 has "
        "10.20.0.2 already",
        f"address 10.20.2.3 of instance {VM_1}: its network is not kept",
        "floating address 192.0.2.12: its fixed address is not kept, or not "
        "there",
        "floating address 10.20.0.200: it is in 10.20.0.0/24 of network "
        "private",
        "rule 4 of security group default of demo: it names neither a cidr "
        "nor a source group",
        "rule 5 of security group default of demo: its source group is not "
        "kept, or not there",
        f"instance {UNKNOWN} in security group default: flatnet's table "
        "instances holds no such living instance: have the compute service "
        "write its row first",
    ]


def test_guests_keep_mac_address_tap_and_gateway(database, nova, guests):
    take_over(database, nova)
    here = snapshot.read(database, "node1")
    plan = host_plan(here, settings())
    (bridge,) = plan.bridges
    assert (bridge.name, bridge.address) == ("br100", "10.20.0.2/24")
    assert bridge.uplink == "eth1"
    (port,) = bridge.ports
    assert (port.name, port.mac) == ("tap" + VIF_1[:11], "fa:16:3e:00:00:01")
    (server,) = plan.dhcp_servers
    assert (server.router, server.address) == ("10.20.0.2", "10.20.0.2")
    (host,) = server.hosts
    assert (host.mac, host.address) == ("fa:16:3e:00:00:01", "10.20.0.3")
    (guest,) = plan.filter.guests
    assert len(guest.groups) == 2
    (other,) = snapshot.read(database, "node2").interfaces
    assert (other.uuid, other.addresses) == (VIF_2, ("10.20.0.4",))


@of_train
def test_a_second_import_finds_nothing_new(database, nova, guests):
    first = take_over(database, nova)
    before = contents(database)
    again = take_over(database, nova)
    assert contents(database) == before
    assert (again.kept, again.new.total()) == (first.kept, 0)
    assert again.refused == first.refused


@of_train
def test_what_was_refused_comes_once_its_instance_is_there(
    database, nova, guests
):
    take_over(database, nova)
    an_instance(database, uuid=UNKNOWN, hostname="vm_7")
    again = take_over(database, nova)
    assert {**again.new} == {
        **dict.fromkeys(KEPT, 0),
        "virtual_interfaces": 1,
        "fixed_ips": 1,
        "floating_ips": 1,
        "security_group_instance_association": 1,
    }
    (row,) = rows(database, models.fixed_ips, instance_uuid=UNKNOWN)
    (floating,) = rows(database, models.floating_ips, fixed_ip_id=row["id"])
    assert (row["address"], floating["address"]) == ("10.20.0.7", "192.0.2.12")


@of_train
def test_what_nova_gave_out_meanwhile_comes_with_the_next(
    database, nova, guests
):
    take_over(database, nova)
    nova.change("fixed_ips", 1006, **held(2, VM_2))
    nova.change("floating_ips", 2, project_id="demo", fixed_ip_id=1006)
    again = take_over(database, nova)
    assert (again.new["fixed_ips"], again.new["floating_ips"]) == (1, 1)
    (mine,) = snapshot.read(database, "node2").interfaces
    assert mine.addresses == ("10.20.0.4", "10.20.0.6")
    assert take_over(database, nova).new.total() == 0


@of_train
def test_reserved_and_used_addresses_are_not_given_out(database, nova, guests):
    take_over(database, nova)
    found = {row["address"]: row for row in rows(database, models.fixed_ips)}
    assert {
        a: row["reason"] for a, row in found.items() if row["reserved"]
    } == {
        **{
            f"10.20.{n}": "reserved in nova"
            for n in ("0.0", "0.1", "0.9", "0.255", "1.1")
        },
        # Refused, but somebody uses them.
        "10.20.0.7": f"nova: instance {UNKNOWN}",
        "10.20.0.8": "nova: bridge of host node1",
    }
    # They had somebody at nova: they are released, and in quarantine.
    for used in ("10.20.0.5", "10.20.0.6"):
        assert found[used]["instance_uuid"] is None
    newcomer = an_instance(database, host="node1")
    allocate(database, newcomer, requested=[(NETWORK, None)])
    (row,) = rows(database, models.fixed_ips, instance_uuid=newcomer.uuid)
    assert row["address"] == "10.20.0.10"


@of_train
def test_one_host_serves_a_network_by_the_address_that_it_had(
    database, nova, guests
):
    nova.change("networks", 1, multi_host=False, host="node1")
    nova.change("fixed_ips", 1002, host=None)
    take_over(database, nova)
    (row,) = rows(database, models.networks, uuid=NETWORK)
    assert (row["multi_host"], row["host"]) == (False, "node1")
    here = snapshot.read(database, "node1")
    assert here.host_addresses == ((row["id"], "10.20.0.1"),)
    (server,) = host_plan(here, settings()).dhcp_servers
    assert (server.address, server.router) == ("10.20.0.1", "10.20.0.1")


@of_train
def test_a_router_of_its_own_stays_the_gateway(database, nova, guests):
    nova.change("networks", 1, multi_host=False, host="node1")
    take_over(database, nova, dhcp=False)
    (row,) = rows(database, models.networks, uuid=NETWORK)
    assert row["gateway"] == "10.20.0.1"
    (gateway,) = rows(database, models.fixed_ips, address="10.20.0.1")
    assert (gateway["reserved"], gateway["host"]) == (True, None)


@of_train
def test_only_the_part_that_nova_gave_out_is_given_out(database, nova):
    nova.put("fixed_ips", *(address(2, n) for n in range(65, 71)))
    nova.put("fixed_ips", *(address(2, n, **RESERVED) for n in (64, 71)))
    take_over(database, nova)
    (row,) = rows(database, models.networks, uuid=SECOND)
    assert (row["pool_first"], row["pool_last"]) == (64, 71)
    newcomer = an_instance(database)
    allocate(database, newcomer, requested=[(SECOND, None)])
    (mine,) = rows(database, models.fixed_ips, instance_uuid=newcomer.uuid)
    # The bridge of its host took the first.
    assert mine["address"] == "10.20.1.66"


@of_train
def test_a_network_that_holds_a_floating_address_is_refused(
    database, nova, guests
):
    floating_pools.create(database, name="public", cidr="10.20.1.64/30")
    refused = reasons(take_over(database, nova))
    (line,) = (each for each in refused if "network second" in each)
    assert "10.20.1.65" in line


@of_train
def test_what_flatnet_has_is_not_changed(database, nova, guests):
    take_over(database, nova)
    networks.delete(database, SECOND)
    networks.create(database, label="mine", cidr="10.20.1.0/25", bridge="br9")
    group = security_groups.get(database, "web")
    security_groups.create_rule(database, group="web", protocol="udp")
    again = take_over(database, nova)
    assert [each for each in reasons(again) if "mine" in each]
    assert again.new.total() == 0
    assert len(security_groups.get(database, "web").rules) == 1 + len(
        group.rules
    )


def test_no_database_of_novas_is_one_line(database, url, tmp_path):
    with pytest.raises(SchemaMismatch, match="none of nova's"):
        source.read(url)
    for wrong in ("rubbish:secret", "oracle://me:secret@h/nova"):
        with pytest.raises(ConfigurationError, match="--connection") as error:
            source.read(wrong)
        assert "secret" not in str(error.value)
    with pytest.raises(DatabaseUnavailable) as error:
        source.read("mysql://me:secret@127.0.0.1:1/nova")
    assert "secret" not in str(error.value)
    with pytest.raises(DatabaseUnavailable, match="no such file"):
        source.read(f"sqlite:///{tmp_path}/nova.sqlite")
    rubbish = tmp_path / "rubbish"
    rubbish.write_text("rubbish" * 1000)
    with pytest.raises(DatabaseUnavailable, match="not a database"):
        source.read(f"sqlite:///{rubbish}")
