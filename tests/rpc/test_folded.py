"""Answers are made of what was written, and of what the pass made of it."""

import threading
from dataclasses import replace

from test_rpc import (
    CONTEXT,
    addresses,
    api,
    broker,
    database,
    new_instance,
    node,
)

from flatnet.db import networks
from flatnet.state.taken_addresses import Taken

__all__ = ("api", "broker", "database", "node")


def test_an_answer_names_the_bridge_as_the_pass_has_made_it(
    api, node, database
):
    """Its address was somebody's, which nobody knew when it was written."""
    network = networks.get(database, "private")
    apply = node.applier.apply
    somebody = Taken(network.uuid, "10.0.0.1", "a machine", answered=True)
    found = [(somebody,)]

    def meet_somebody(*parts, **named):
        taken = found.pop() if found else ()
        return replace(apply(*parts, **named), taken=taken)

    node.applier.apply = meet_somebody
    (vif,) = api.allocate_for_instance(
        CONTEXT, instance_id=new_instance(database), host="node1"
    )
    subnet = vif["network"]["subnets"][0]
    assert subnet["gateway"]["address"] == "10.0.0.3"
    assert subnet["meta"]["dhcp_server"] == "10.0.0.3"
    assert vif["active"] is True


def test_many_at_once_have_an_address_each(api, node, database):
    served = [new_instance(database) for _ in range(40)]
    answers = []

    def allocate(instance):
        answers.append(
            api.allocate_for_instance(
                CONTEXT, instance_id=instance, host="node1"
            )
        )

    threads = [
        threading.Thread(target=allocate, args=(each,)) for each in served
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    held = sorted(address for each in answers for address in addresses(each))
    assert held == sorted(f"10.0.0.{n}" for n in range(2, 42))
    assert all(vif["active"] for each in answers for vif in each)
    for instance in served:
        told = api.get_instance_nw_info(
            CONTEXT, instance_id=instance, host="node1"
        )
        assert told in answers
