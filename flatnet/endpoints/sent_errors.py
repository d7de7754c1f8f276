"""Errors as callers get them: by the module that they know these in.

oslo.messaging sends an error as the names of its class and of that class's
module, and rebuilds it where the caller has allowed the module.  nova's
services allow `nova.exception`, which has classes of the same names.
"""

import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar, cast

import oslo_messaging as messaging

from flatnet.exceptions import FlatnetError
from flatnet.rpc import arguments

OWN = FlatnetError.__module__
# What oslo.messaging calls the class of an error that came from elsewhere.
_POSTFIX = "_Remote"
Method = TypeVar("Method", bound=Callable[..., Any])
Info = tuple[
    type[BaseException] | None, BaseException | None, TracebackType | None
]


def as_sent(info: Info, module: str) -> Info:
    """Return what `sys.exc_info` said, with an error that is of a module.

    Only our own errors are; and where they stay ours nothing is changed.
    """
    error = info[1]
    if module == OWN or not isinstance(error, FlatnetError):
        return info
    name = type(error).__name__.removesuffix(_POSTFIX)
    kind = type(name, (FlatnetError,), {"__module__": module})
    # Without the way that it came: to others our frames say nothing.
    return kind, kind(*error.args), None


def expected(method: Method) -> Method:
    """Let our own errors travel to the caller, not to the log as defects.

    A host that is no name is one, whatever it would have been used for.
    """

    @functools.wraps(method)
    def checked(endpoint: Any, context: Any, **given: Any) -> Any:
        arguments.check_host(given.get("host"))
        return method(endpoint, context, **given)

    wrap = messaging.expected_exceptions(FlatnetError)
    return cast(Method, wrap(checked))
