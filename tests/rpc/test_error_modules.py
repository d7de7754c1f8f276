"""Errors as services get them that know them in a module of their own."""

import sys
import types

import oslo_messaging as messaging
import pytest
from oslo_config import cfg
from test_rpc import CONTEXT, broker, database, new_instance

from flatnet import exceptions, rpc
from flatnet.db import networks
from tests.rpc.daemons import Node

__all__ = ("broker", "database")


class NovaException(Exception):
    """As nova's: its text may be made of a template."""

    msg_fmt = "An unknown exception occurred."

    def __init__(self, message=None, **kwargs):
        self.kwargs = kwargs
        super().__init__(message or self.msg_fmt % kwargs)


class FixedIpAlreadyInUse(NovaException):
    msg_fmt = "Fixed IP address %(address)s is already in use."


class InstanceNotFound(NovaException):
    msg_fmt = "Instance %(instance_id)s could not be found."


@pytest.fixture
def novas(broker, monkeypatch):
    """A client as nova makes it, which knows two of our errors."""
    module = types.ModuleType("nova.exception")
    for each in (FixedIpAlreadyInUse, InstanceNotFound):
        monkeypatch.setattr(each, "__module__", "nova.exception")
        setattr(module, each.__name__, each)
    monkeypatch.setitem(sys.modules, "nova", types.ModuleType("nova"))
    monkeypatch.setitem(sys.modules, "nova.exception", module)
    transport = messaging.get_rpc_transport(
        cfg.CONF, allowed_remote_exmods=["nova.exception"]
    )
    target = messaging.Target(topic="network", version="1.0")
    yield messaging.get_rpc_client(transport, target, timeout=20)
    transport.cleanup()


@pytest.fixture
def nodes(broker, database):
    """A daemon for nova's services, and one that was set up for others."""
    options = ({"error_module": "nova.exception"}, {})
    nodes = [
        Node(f"node{number}", database, broker, **given)
        for number, given in enumerate(options, 1)
    ]
    yield nodes
    for node in nodes:
        node.stop()


@pytest.mark.parametrize("host", ["node1", "node2"])
def test_novas_services_get_their_own(novas, nodes, database, host):
    """Also where another host has to do it, whatever that is set to."""
    network = networks.get(database, "private")
    caller = novas.prepare(server="node1")
    with pytest.raises(FixedIpAlreadyInUse, match=r"10\.0\.0\.255") as caught:
        caller.call(
            CONTEXT,
            "allocate_for_instance",
            instance_id=new_instance(database, host),
            host=host,
            requested_networks=[[network.uuid, "10.0.0.255"]],
        )
    assert "Traceback" not in str(caught.value)
    with pytest.raises(InstanceNotFound, match="no living instance"):
        caller.call(
            CONTEXT, "get_instance_nw_info", instance_id="7", host=host
        )
    # Which they have none of.
    with pytest.raises(messaging.RemoteError) as unknown:
        caller.call(
            CONTEXT,
            "allocate_for_instance",
            instance_id=new_instance(database, host),
            host=host,
            macs=["rubbish"],
        )
    assert unknown.value.exc_type == "InvalidMacAddress"


@pytest.mark.parametrize("host", ["node1", "node2"])
def test_our_client_raises_ours(broker, nodes, database, host):
    network = networks.get(database, "private")
    api = rpc.NetworkAPI(broker, 20)
    with pytest.raises(exceptions.FixedIpAlreadyInUse, match=r"\.255"):
        api.allocate_for_instance(
            CONTEXT,
            instance_id=new_instance(database, host),
            host=host,
            requested_networks=[[network.uuid, "10.0.0.255"]],
        )
    with pytest.raises(exceptions.InvalidMacAddress, match="rubbish"):
        api.allocate_for_instance(
            CONTEXT,
            instance_id=new_instance(database, host),
            host=host,
            macs=["rubbish"],
        )
