"""The RPC methods over a real RabbitMQ, as a compute service sees them.

The rows are real; the applier is one that says yes, for the kernel has
tests of its own.
"""

import threading
import time
import uuid

import oslo_messaging as messaging
import pytest
from oslo_config import cfg

from flatnet import exceptions, rpc
from flatnet.config import conf
from flatnet.db import (
    instances,
    memberships,
    models,
    networks,
    schema,
    security_groups,
)
from flatnet.db.engine import Database
from flatnet.lab.rabbitmq import RabbitMQ
from flatnet.state.scope import EVERYTHING
from tests.rpc.daemons import Node

CONTEXT = {"user_id": "u", "roles": ["admin"], "a_key_of_later": 1}


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    directory = tmp_path_factory.mktemp("rabbit")
    with RabbitMQ(directory) as rabbit:
        config = directory / "flatnet.conf"
        config.write_text(f"[DEFAULT]\ntransport_url = {rabbit.url}\n")
        conf.register(cfg.CONF)
        cfg.CONF(["--config-file", str(config)], project="flatnet")
        transport = rpc.transport(cfg.CONF)
        yield transport
        transport.cleanup()
        cfg.CONF.reset()


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/flatnet.sqlite")
    schema.upgrade(database)
    networks.create(
        database, label="private", cidr="10.0.0.0/24", bridge="br100"
    )
    yield database
    database.close()


@pytest.fixture
def node(broker, database):
    node = Node("node1", database, broker)
    yield node
    node.stop()


@pytest.fixture
def api(broker, node):
    return rpc.NetworkAPI(broker, 20)


def new_instance(database, host="node1"):
    return instances.create(
        database, hostname="vm", host=host, project_id="blue"
    ).uuid


def addresses(information):
    return [
        address["address"]
        for vif in information
        for address in vif["network"]["subnets"][0]["ips"]
    ]


def test_ping(api):
    answer = api.ping(CONTEXT, arg="hello", host="node1")
    assert answer == {"service": "network", "arg": "hello"}


def test_an_instance_comes_and_goes(api, database):
    instance = new_instance(database)
    here = {"instance_id": instance, "host": "node1"}
    first = api.allocate_for_instance(CONTEXT, **here)
    assert addresses(first) == ["10.0.0.2"]
    assert first[0]["network"]["subnets"][0]["gateway"]["address"] == (
        "10.0.0.1"
    )
    assert api.allocate_for_instance(CONTEXT, **here) == first
    assert api.get_instance_nw_info(CONTEXT, **here) == first
    api.setup_networks_on_host(CONTEXT, **here)
    api.deallocate_for_instance(CONTEXT, **here)
    api.deallocate_for_instance(CONTEXT, **here)
    assert api.get_instance_nw_info(CONTEXT, **here) == []


def test_a_call_to_any_host_is_done_by_the_host_it_names(
    api, broker, database
):
    other = Node("node2", database, broker)
    try:
        instance = new_instance(database, "node2")
        caller = rpc.NetworkAPI(broker, 20)
        answer = caller._call(
            CONTEXT,
            "allocate_for_instance",
            {"instance_id": instance, "host": "node2"},
            host="node1",
        )
        assert answer[0]["network"]["subnets"][0]["gateway"]["address"] == (
            "10.0.0.1"
        )
        assert other.applier.plan.bridges[0].address == "10.0.0.1/24"
    finally:
        other.stop()


def test_other_hosts_hear_of_the_members_of_groups(api, broker, database):
    other = Node("node2", database, broker)
    try:
        instance = new_instance(database)
        group = security_groups.create(database, name="web", project_id="blue")
        memberships.add_instance(
            database, group=str(group.id), instance=instance
        )
        # One of theirs lets it in.
        security_groups.create_rule(database, group="web", source_group="web")
        theirs = new_instance(database, "node2")
        memberships.add_instance(database, group="web", instance=theirs)
        api.allocate_for_instance(CONTEXT, instance_id=theirs, host="node2")
        before = other.reconciler.ask_and_wait(20, EVERYTHING)
        here = {"instance_id": instance, "host": "node1"}
        for call in (api.allocate_for_instance, api.deallocate_for_instance):
            call(CONTEXT, **here)
            deadline = time.monotonic() + 20
            while other.reconciler.last is before:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            before = other.reconciler.last
    finally:
        other.stop()


def test_novas_objects_are_understood(api, broker, database):
    instance = new_instance(database)
    network = networks.get(database, "private")
    target = messaging.Target(topic="network", version="1.0")
    client = messaging.get_rpc_client(broker, target, timeout=20)
    request = {
        "nova_object.name": "NetworkRequest",
        "nova_object.data": {
            "network_id": network.uuid,
            "address": "10.0.0.77",
        },
    }
    answer = client.prepare(version="1.13").call(
        CONTEXT,
        "allocate_for_instance",
        instance_id=instance,
        project_id="blue",
        host="node1",
        rxtx_factor=1.0,
        vpn=False,
        macs=None,
        requested_networks={
            "nova_object.name": "NetworkRequestList",
            "nova_object.data": {"objects": [request]},
        },
    )
    assert addresses(answer) == ["10.0.0.77"]
    client.prepare(version="1.11").call(
        CONTEXT,
        "deallocate_for_instance",
        instance={"nova_object.data": {"uuid": instance, "host": "node1"}},
        requested_networks=None,
    )
    left = api.get_instance_nw_info(
        CONTEXT, instance_id=instance, host="node1"
    )
    assert left == []


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("rubbish", exceptions.FixedIpInvalid),
        ("192.0.2.1", exceptions.FixedIpNotFoundForNetwork),
        ("10.0.0.255", exceptions.FixedIpAlreadyInUse),
    ],
)
def test_errors_arrive_as_their_classes(api, database, address, error):
    instance = new_instance(database)
    network = networks.get(database, "private")
    wanted = [[network.uuid, address]]
    with pytest.raises(error):
        api.allocate_for_instance(
            CONTEXT,
            instance_id=instance,
            host="node1",
            requested_networks=wanted,
        )
    with pytest.raises(error):
        api.validate_networks(CONTEXT, networks=wanted)
    nothing = api.get_instance_nw_info(
        CONTEXT, instance_id=instance, host="node1"
    )
    assert nothing == []


def test_nobody_is_named_as_nobody(api, database):
    with pytest.raises(exceptions.InstanceNotFound):
        api.allocate_for_instance(
            CONTEXT, instance_id=str(uuid.uuid4()), host="node1"
        )
    with pytest.raises(exceptions.NetworkNotFound):
        api.delete_network(CONTEXT, uuid=str(uuid.uuid4()))
    with pytest.raises(exceptions.HostNotFound):
        api._call(
            CONTEXT,
            "setup_networks_on_host",
            {"instance_id": new_instance(database), "host": "nowhere"},
        )


def test_a_host_that_does_not_answer_is_one_line(broker, node):
    impatient = rpc.NetworkAPI(broker, 1)
    with pytest.raises(exceptions.BrokerUnavailable, match="host nowhere"):
        impatient.ping(CONTEXT, arg=1, host="nowhere")


def test_an_instance_that_cannot_be_set_up_is_an_error_that_heals(
    api, node, database
):
    instance = new_instance(database)
    here = {"instance_id": instance, "host": "node1"}
    node.applier.refused = (instance,)
    with pytest.raises(exceptions.HostSetupError, match="no room"):
        api.allocate_for_instance(CONTEXT, **here)
    state = api.get_host_state(CONTEXT, host="node1")
    assert state["failures"][0]["instances"] == [instance]
    node.applier.refused = ()
    assert addresses(api.allocate_for_instance(CONTEXT, **here))


def test_networks_are_created_and_deleted(api):
    (made,) = api.create_networks(
        CONTEXT, label="more", cidr="10.1.0.0/16", bridge="br101", vlan=None
    )
    assert made["cidr"] == "10.1.0.0/16"
    with pytest.raises(exceptions.CidrConflict):
        api.create_networks(
            CONTEXT, label="again", cidr="10.1.2.0/24", bridge="br102"
        )
    api.delete_network(CONTEXT, uuid=made["uuid"])
    with pytest.raises(exceptions.NetworkNotFound):
        api.delete_network(CONTEXT, uuid=made["uuid"])


def test_one_instance_allocated_by_many_at_once_has_one_address(api, database):
    instance = new_instance(database)
    answers = []

    def allocate():
        answers.append(
            api.allocate_for_instance(
                CONTEXT, instance_id=instance, host="node1"
            )
        )

    threads = [threading.Thread(target=allocate) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(answers) == 12
    assert all(answer == answers[0] for answer in answers)
    assert addresses(answers[0]) == ["10.0.0.2"]


def test_rows_that_somebody_wrote_are_looked_at_when_asked(
    api, node, database
):
    mine = new_instance(database)
    api.allocate_for_instance(CONTEXT, instance_id=mine, host="node1")
    table = models.virtual_interfaces
    new = table.update().values(address="fa:16:3e:00:00:99")
    database.write(lambda c: c.execute(new).rowcount)
    state = api.reconcile(CONTEXT, host="node1")
    assert (state["host"], state["state"]) == ("node1", "ready")
    ((port,),) = [each.ports for each in node.applier.plan.bridges]
    assert port.mac == "fa:16:3e:00:00:99"
