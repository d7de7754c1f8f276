"""Asking daemons, and what it means where nobody answers."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import oslo_messaging as messaging

from flatnet import deadline, exceptions
from flatnet.exceptions import (
    BrokerUnavailable,
    CallNotSupported,
    FlatnetError,
)
from flatnet.rpc.broker import TOPIC

Json = dict[str, Any]
# Seconds; the library takes none for its own default.
_SHORTEST = 0.1
# The lowest version that has what we send; servers accept every 1.x.
_VERSIONS = {None: "1.0", "baseapi": "1.1", "flatnet": "1.0"}

# How a server says that it has no such method.
_UNKNOWN = ("NoSuchMethod", "UnsupportedVersion")


@contextmanager
def _answered(asked: str) -> Iterator[None]:
    try:
        yield
    except messaging.MessagingTimeout as error:
        raise BrokerUnavailable(
            f"no answer from {asked}; is flatnet-manager running there, and "
            "does it use the same broker?"
        ) from error
    except messaging.RemoteError as error:
        # Of a daemon whose rpc_error_module is not ours.
        kind = getattr(exceptions, error.exc_type or "", None)
        if isinstance(kind, type) and issubclass(kind, FlatnetError):
            raise kind(error.value) from error
        if error.exc_type not in _UNKNOWN:
            raise
        raise CallNotSupported(
            f"{asked} has an older flatnet-manager without that call"
        ) from error
    except messaging.MessageDeliveryFailure as error:
        raise BrokerUnavailable(f"the broker is not reachable: {error}") from (
            error
        )


class Caller:
    """Whoever calls daemons over a broker, and casts to all of them.

    :param broker: from `transport`
    :param timeout: seconds to wait for an answer; none for the
        configuration's rpc_response_timeout
    :param waiting: what to be in while somebody else works
    """

    def __init__(
        self,
        broker: messaging.Transport,
        timeout: float | None = None,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._waiting = waiting
        target = messaging.Target(topic=TOPIC, version="1.0")
        self._timeout = timeout
        self._client = messaging.get_rpc_client(
            broker, target, timeout=timeout
        )
        # That knows the option.
        self._patience = timeout or broker.conf.rpc_response_timeout

    def _call(
        self,
        context: Json,
        method: str,
        arguments: Json,
        *,
        host: str | None = None,
        namespace: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        options: Json = {"version": _VERSIONS[namespace]}
        if timeout is None:
            timeout = self._timeout
        # Asked on behalf of a call, there is no more time than its caller
        # has.
        left = deadline.left(math.inf if timeout is None else timeout)
        if left < math.inf:
            options["timeout"] = max(left, _SHORTEST)
        if namespace is not None:
            options["namespace"] = namespace
        if host is not None:
            options["server"] = host
        caller = self._client.prepare(**options)
        asked = f"host {host}" if host else "any host"
        with self._waiting(), _answered(asked):
            return caller.call(context, method, **arguments)

    def _call_any(self, context: Json, method: str, arguments: Json) -> Any:
        """Ask whoever takes the message, and another one if he is silent.

        Until it notices, the broker hands messages to a machine, too, that
        has lost its power or is frozen.  What is asked here is once if it is
        asked twice.
        """
        half = deadline.left(self._patience) / 2
        try:
            return self._call(context, method, arguments, timeout=half)
        except BrokerUnavailable as error:
            if not isinstance(error.__cause__, messaging.MessagingTimeout):
                raise
        return self._call(context, method, arguments, timeout=half)

    def _asked(
        self,
        context: Json,
        method: str,
        host: str,
        timeout: float | None = None,
        **arguments: Any,
    ) -> Json:
        answer: Json = self._call(
            context,
            method,
            arguments,
            host=host,
            namespace="flatnet",
            timeout=timeout,
        )
        return answer

    def _cast(self, context: Json, method: str, **told: Any) -> None:
        """Tell whoever takes the message, and do not wait."""
        caller = self._client.prepare(version=_VERSIONS[None])
        with _answered("the broker"):
            caller.cast(context, method, **told)

    def _tell(self, context: Json, method: str, told: Json) -> None:
        """Tell all daemons, and do not wait."""
        caller = self._client.prepare(
            fanout=True,
            namespace="flatnet",
            version=_VERSIONS["flatnet"],
        )
        with _answered("the broker"):
            caller.cast(context, method, **told)
