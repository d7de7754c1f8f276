"""Reaching the broker: away, it is waited for; refused, it is asked again.

Neither ends the daemon: the host is kept as its rows say meanwhile, and a
restart could do no more than ask the same broker with the same password.
"""

import logging
import ssl
import threading
from collections.abc import Callable

import oslo_messaging as messaging
from amqp import AMQPError
from oslo_config import cfg
from oslo_messaging import MessageHandlingServer as Server

from flatnet import rpc
from flatnet.cmd.notify import BrokerWatch, notify
from flatnet.config import broker as defaults
from flatnet.config.conf import where
from flatnet.endpoints.backlog import THREADS
from flatnet.exceptions import ConfigurationError

LOG = logging.getLogger("flatnet")
# Seconds until a broker that refused us is asked again.
REFUSED_PAUSE = 10.0
_STANDS = "the host stands"
_BAD_URL = (
    "transport_url in %s is no URL such as rabbit://user:password@host:5672/ "
    "(a slash in a password is %%2F, a colon %%3A): %s"
)


def transport(conf: cfg.ConfigOpts) -> messaging.Transport:
    """Return the transport that `transport_url` names; nothing connects.

    The text of a URL that does not parse may hold a password anywhere: it is
    not repeated.

    :raises ConfigurationError: it names none
    """
    # Not in `rpc`, by which compute services make theirs.
    defaults.set_defaults()
    try:
        return rpc.transport(conf)
    except messaging.DriverLoadFailure as error:
        text = str(error)
        raise ConfigurationError(_BAD_URL % (_place(conf), text)) from error
    except (messaging.MessagingException, ValueError) as error:
        text = "it is none"
        raise ConfigurationError(_BAD_URL % (_place(conf), text)) from error


def _place(conf: cfg.ConfigOpts) -> str:
    return where(conf, "transport_url")


def started(
    new_server: Callable[[], Server],
    *,
    broker: str,
    stopping: threading.Event,
) -> Server | None:
    """Return a server that listens, once the broker lets it; none: we stop.

    :param new_server: makes one; each is started once
    :param broker: the broker's URL without its password
    """
    waiting = f"{_STANDS}; waiting for the broker {broker}"
    notify(f"STATUS={waiting}")
    LOG.info("%s", waiting)
    told = ""
    with BrokerWatch(f"STATUS={waiting}"):
        while not stopping.is_set():
            server = new_server()
            refusal = _refusal(server)
            if not refusal:
                return server
            if refusal != told:
                notify(f"STATUS={_STANDS}; the broker {broker}: {refusal}")
                LOG.error(
                    "broker %s: %s; correct transport_url and restart, or "
                    "let it in: it is asked every %d s, and the host is kept "
                    "as its rows say meanwhile",
                    *(broker, refusal, REFUSED_PAUSE),
                )
            told = refusal
            stopping.wait(REFUSED_PAUSE)
    return None


def _refusal(server: Server) -> str:
    """Start a server; return in one line why the broker refused, or empty.

    It returns when the broker is there, however long that takes.
    """
    try:
        server.start(override_pool_size=THREADS)
    except (messaging.MessagingException, AMQPError, ssl.SSLError) as error:
        # The driver lets errors of its library through as they are.
        return _line(error)
    return ""


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
