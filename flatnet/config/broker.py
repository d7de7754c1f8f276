"""Defaults of oslo.messaging that are other ones here.

Whatever the operator sets counts, and so does his part of `transport_url`.
Imported where messaging is: by the daemon once it is patched, and by
oslo-config-generator, so that the sample says what holds.
"""

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_messaging._drivers.impl_rabbit import rabbit_opts

# In that of oslo.messaging's default somebody else may serve a topic called
# `network` too.
EXCHANGE = "flatnet"
# Each that a crowd has needed is kept for twenty minutes, with 130 kB of
# buffers and objects.  A message has one until the broker has confirmed it:
# of 64 callers at once 121 a second are answered over eight, 130 over thirty.
_CONNECTIONS = 8


def set_defaults() -> None:
    """Have options that are registered from now on default to these."""
    set_exchange()
    cfg.set_defaults(rabbit_opts, rpc_conn_pool_size=_CONNECTIONS)


def set_exchange() -> None:
    """Have the exchange default to flatnet's, as for whoever calls flatnet."""
    messaging.set_transport_defaults(EXCHANGE)
