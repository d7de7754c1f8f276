"""Floating addresses over RPC, by nova's names, and the hosts that follow."""

import oslo_messaging as messaging
import pytest
from test_places import change, other
from test_rpc import api, broker, database, new_instance, node

from flatnet import exceptions
from flatnet.db import floating_pools
from flatnet.state.scope import EVERYTHING

__all__ = ("api", "broker", "database", "node", "other")
BLUE = {"project_id": "blue", "is_admin": False}
RED = {"project_id": "red", "is_admin": False}
ADMIN = {"is_admin": True}
FIRST = "203.0.113.1"


@pytest.fixture
def led(api, database):
    """An address of blue's, and the uuid of an instance on node1."""
    floating_pools.create(database, name="nova", cidr="203.0.113.0/29")
    api.allocate_floating_ip(BLUE, project_id="blue")
    uuid = new_instance(database)
    api.allocate_for_instance(BLUE, instance_id=uuid, host="node1")
    return {"floating_address": FIRST, "fixed_address": "10.0.0.2"}, uuid


def translated(node):
    """Where floating addresses lead by the plan of a host."""
    found = node.applier.plan.filter.floating
    return {each.address: each.fixed for each in found}


def test_one_comes_to_an_instance_and_goes(api, node, led):
    given, uuid = led
    assert api.associate_floating_ip(BLUE, **given) is None
    assert translated(node) == {FIRST: "10.0.0.2"}
    assert api.associate_floating_ip(BLUE, **given) is None
    here = {"instance_id": uuid, "host": "node1"}
    for info in (
        api.get_instance_nw_info(BLUE, **here),
        api.allocate_for_instance(BLUE, **here),
    ):
        (ip,) = info[0]["network"]["subnets"][0]["ips"]
        assert ip["floating_ips"] == [
            {"address": FIRST, "type": "floating", "version": 4, "meta": {}}
        ]
    with pytest.raises(exceptions.FloatingIpAssociated):
        api.deallocate_floating_ip(BLUE, address=FIRST)
    api.disassociate_floating_ip(BLUE, address=FIRST)
    assert translated(node) == {}
    with pytest.raises(exceptions.FloatingIpNotAssociated):
        api.disassociate_floating_ip(BLUE, address=FIRST)
    api.deallocate_floating_ip(BLUE, address=FIRST)


def test_what_callers_are_shown(api, led):
    given, uuid = led
    api.associate_floating_ip(BLUE, **given)
    row = api.get_floating_ip_by_address(BLUE, address=FIRST)
    assert row == {
        "id": 1,
        "address": FIRST,
        "fixed_ip_id": row["fixed_ip_id"],
        "project_id": "blue",
        "host": "node1",
        "auto_assigned": False,
        "pool": "nova",
        "interface": None,
        "fixed_address": "10.0.0.2",
        "instance_uuid": uuid,
    }
    assert api.get_floating_ips_by_project(BLUE) == [row]
    assert api.get_floating_ips_by_project(RED) == []
    assert api.get_floating_ip(ADMIN, floating_ip_id=1) == row
    fixed = {"fixed_address": "10.0.0.2"}
    assert api.get_floating_ips_by_fixed_address(BLUE, **fixed) == [FIRST]
    assert api.get_floating_ips_by_fixed_address(RED, **fixed) == []
    whose = api.get_instance_id_by_floating_address(BLUE, address=FIRST)
    assert whose == uuid
    assert api.get_floating_ip_pools(RED) == [{"name": "nova"}]


@pytest.mark.parametrize("context", [RED, {}, {"is_admin": "yes"}])
def test_others_are_forbidden(api, node, led, context):
    given, _ = led
    for call in (
        lambda: api.associate_floating_ip(context, **given),
        lambda: api.deallocate_floating_ip(context, address=FIRST),
        lambda: api.disassociate_floating_ip(context, address=FIRST),
        lambda: api.get_floating_ip_by_address(context, address=FIRST),
        lambda: api.allocate_floating_ip(context, project_id="blue"),
    ):
        with pytest.raises(exceptions.Forbidden):
            call()
    assert translated(node) == {}


def test_rubbish_is_refused_by_name(api, led):
    with pytest.raises(exceptions.FloatingIpNotFoundForAddress):
        api.get_floating_ip_by_address(ADMIN, address="x'; --")
    with pytest.raises(exceptions.InvalidInput):
        api.deallocate_floating_ip(ADMIN, address=None)
    with pytest.raises(exceptions.InvalidInput):
        api.get_floating_ip(ADMIN, floating_ip_id="first")
    with pytest.raises(exceptions.FloatingIpPoolNotFound):
        api.allocate_floating_ip(ADMIN, project_id="blue", pool="none")


def test_it_leads_to_another_host_and_back_nowhere(
    api, node, other, database, led
):
    given, uuid = led
    api.associate_floating_ip(BLUE, **given)
    second = new_instance(database, host="node2")
    api.allocate_for_instance(BLUE, instance_id=second, host="node2")
    there = {**given, "fixed_address": "10.0.0.4"}
    row = api.get_instance_nw_info(BLUE, instance_id=second, host="node2")
    there["fixed_address"] = row[0]["network"]["subnets"][0]["ips"][0][
        "address"
    ]
    assert api.associate_floating_ip(BLUE, **there) == uuid
    assert translated(node) == {}
    assert translated(other) == {FIRST: there["fixed_address"]}
    api.deallocate_for_instance(BLUE, instance_id=second, host="node2")
    assert translated(other) == {}
    row = api.get_floating_ip_by_address(BLUE, address=FIRST)
    assert (row["fixed_ip_id"], row["host"]) == (None, None)


def test_it_moves_with_its_instance(api, node, other, database, led):
    """In nova's order, where the row names the new host last."""
    given, uuid = led
    api.associate_floating_ip(BLUE, **given)
    way = {"source": "node1", "dest": "node2"}
    here = {"instance_id": uuid}
    api.setup_networks_on_host(BLUE, **here, host="node2")
    assert (len(translated(node)), len(translated(other))) == (1, 0)
    api.migrate_instance_start(BLUE, instance_uuid=uuid, **way)
    api.setup_networks_on_host(BLUE, **here, host="node1", teardown=True)
    api.migrate_instance_finish(BLUE, instance_uuid=uuid, **way)
    change(database, uuid, host="node2")
    api.migrate_instance_finish(BLUE, instance_uuid=uuid, **way)
    assert (len(translated(node)), len(translated(other))) == (0, 1)
    for each in (node, other):
        each.reconciler.ask_and_wait(20, EVERYTHING)
    assert (len(translated(node)), len(translated(other))) == (0, 1)


def test_by_what_novas_client_sends(broker, node, led):
    target = messaging.Target(topic="network", version="1.0")
    caller = messaging.get_rpc_client(broker, target, timeout=20).prepare()
    got = caller.call(
        BLUE,
        "allocate_floating_ip",
        project_id="blue",
        pool="nova",
        auto_assigned=False,
    )
    assert got == "203.0.113.2"
    given, _ = led
    answer = caller.call(
        {**BLUE, "tenant": "blue"},
        "associate_floating_ip",
        **given,
        affect_auto_assigned=False,
    )
    assert answer is None
    assert translated(node) == {FIRST: "10.0.0.2"}
