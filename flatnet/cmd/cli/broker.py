"""The daemons, over RPC, for a program that a person waits for.

oslo.messaging has kombu try for ever to reach a broker, one of the list after
the other, and tells only its log why it cannot.  A person wants to know at
once, so that log is listened to, and an alarm ends what takes too long in any
other way.

A connection of kombu's own would say the same, and once: but what is in
transport_url and in oslo.messaging's options for TLS and login would have to
be made into one a second time, and what follows would try for ever still.
"""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import oslo_messaging as messaging
from amqp import AMQPError
from oslo_config import cfg

from flatnet import rpc
from flatnet.cmd import serving
from flatnet.exceptions import BrokerUnavailable, FlatnetError

# The answer is awaited for rpc_response_timeout; this long for the rest.
GRACE = 10.0
_DRIVERS_LOG = "oslo.messaging._drivers.impl_rabbit"


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
        with _Impatience(name).at_most(patience):
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
    except AMQPError as error:
        raise BrokerUnavailable(
            f"broker {name}: {error}; is transport_url right?"
        ) from error


class _Impatience(logging.Handler):
    """Give up when every broker failed once, or when time is up."""

    def __init__(self, name: str) -> None:
        super().__init__(logging.ERROR)
        self._name = name
        self._reason = "no answer in time"

    def emit(self, record: logging.LogRecord) -> None:
        """Hear of a failure that the driver logs before it tries again."""
        self._reason, _, pause = record.getMessage().partition(" (retrying in")
        # While there is another broker on the list it is tried at once.
        if not pause.startswith(" 0 "):
            main = threading.main_thread().ident
            signal.pthread_kill(main or 0, signal.SIGALRM)

    @contextmanager
    def at_most(self, seconds: float) -> Iterator[None]:
        """Raise BrokerUnavailable within, at the latest after `seconds`."""
        log = logging.getLogger(_DRIVERS_LOG)
        before = signal.signal(signal.SIGALRM, self._give_up)
        log.addHandler(self)
        # Again each second: the first could be caught on its way.
        signal.setitimer(signal.ITIMER_REAL, seconds, 1)
        try:
            yield
        finally:
            log.removeHandler(self)
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def _give_up(self, _number: int, _frame: FrameType | None) -> NoReturn:
        raise BrokerUnavailable(
            f"broker {self._name}: {self._reason}; is it running, and is "
            "transport_url right?"
        )
