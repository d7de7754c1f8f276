"""RPC over oslo.messaging: what a compute service imports, and what answers.

`NetworkAPI` is the client.  Only JSON primitives cross the wire, both ways;
errors arrive as the classes of `flatnet.exceptions`.
"""

from flatnet.config.broker import EXCHANGE
from flatnet.rpc.broker import TOPIC, broker_name, server, transport
from flatnet.rpc.client import NETWORK_VERSION, NetworkAPI

__all__ = (
    "EXCHANGE",
    "NETWORK_VERSION",
    "TOPIC",
    "NetworkAPI",
    "broker_name",
    "server",
    "transport",
)
