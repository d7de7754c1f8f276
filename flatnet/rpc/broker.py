"""The broker: the way there, and who listens on it."""

import re

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_messaging.rpc.server import RPCServer

from flatnet.config.broker import set_exchange

TOPIC = "network"


def transport(conf: cfg.ConfigOpts) -> messaging.Transport:
    """Return the transport that `transport_url` names.

    oslo.messaging registers some of its options on the global
    configuration only, so `conf` has to be that one.
    """
    set_exchange()
    return messaging.get_rpc_transport(
        conf, allowed_remote_exmods=["flatnet.exceptions"]
    )


def server(
    broker: messaging.Transport,
    *,
    host: str,
    dispatcher: messaging.RPCDispatcher,
    executor: str,
) -> messaging.MessageHandlingServer:
    """Return a server that listens on `network` and `network.<host>`."""
    target = messaging.Target(topic=TOPIC, server=host)
    return RPCServer(broker, target, dispatcher, executor)


def broker_name(conf: cfg.ConfigOpts) -> str:
    """The broker's URL without its password, for a line of text."""
    url = str(conf.transport_url)
    return re.sub(r"([/,][^:/@,]*):[^@/,]*@", r"\1:***@", url)
