"""The daemons, over RPC, for a program that a person waits for.

oslo.messaging has kombu try for ever to reach a broker, one of the list after
the other.  A person wants to know at once why nobody can be reached: so the
connection that oslo.messaging would make is made first, by kombu and with all
that it is given, but once for each on the list.  An alarm ends what takes too
long later, as where the broker goes away.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import oslo_messaging as messaging
from amqp import AMQPError
from kombu.exceptions import OperationalError
from oslo_config import cfg
from oslo_messaging._drivers import common, impl_rabbit

from flatnet import rpc
from flatnet.cmd import serving
from flatnet.exceptions import (
    BrokerUnavailable,
    ConfigurationError,
    FlatnetError,
)

# The answer is awaited for rpc_response_timeout; this long for the rest.
GRACE = 10.0
_OPTIONS = "oslo_messaging_rabbit"


@contextmanager
def network_api() -> Iterator[rpc.NetworkAPI]:
    """Yield the client of the daemons, once the options are read.

    :raises BrokerUnavailable: nobody answers, and where to look
    :raises ConfigurationError: transport_url cannot be used
    """
    transport = serving.transport(cfg.CONF)
    api = rpc.NetworkAPI(transport)
    name = rpc.broker_name(cfg.CONF)
    patience = cfg.CONF.rpc_response_timeout + GRACE
    try:
        with _at_most(patience, name):
            _reach(cfg.CONF, name)
            yield api
            transport.cleanup()
    except BrokerUnavailable as error:
        if name in str(error):
            raise
        raise BrokerUnavailable(f"{error} (broker {name})") from error
    except messaging.RemoteError as error:
        raise FlatnetError(
            f"the daemon failed with {error.exc_type}: {error.value}; its "
            "log says why"
        ) from error
    except (AMQPError, OperationalError) as error:
        raise _unavailable(name, str(error)) from error


def _reach(conf: cfg.ConfigOpts, name: str) -> None:
    """Connect to one of the brokers, and leave it.

    :raises AMQPError: it does not let us in
    :raises OperationalError: the last one on the list cannot be reached
    :raises ConfigurationError: what is configured means none
    """
    url = messaging.TransportURL.parse(conf)
    given = common.ConfigOptsProxy(conf, url, _OPTIONS)
    others = max(len(url.hosts) - 1, 0)
    purpose = common.PURPOSE_LISTEN
    try:
        impl_rabbit.Connection(given, url, purpose, retry=others).close()
    except (RuntimeError, ValueError) as error:
        raise ConfigurationError(f"broker {name}: {error}") from error


@contextmanager
def _at_most(seconds: float, name: str) -> Iterator[None]:
    """Raise BrokerUnavailable within, at the latest after `seconds`."""

    def give_up(_number: int, _frame: FrameType | None) -> NoReturn:
        raise _unavailable(name, "no answer in time")

    before = signal.signal(signal.SIGALRM, give_up)
    # Again each second: the first could be caught on its way.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _unavailable(name: str, reason: str) -> BrokerUnavailable:
    return BrokerUnavailable(
        f"broker {name}: {reason}; is it running, and is transport_url right?"
    )
