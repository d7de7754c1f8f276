"""The addresses of a database's server: found in time, and each one tried.

A resolver waits for its name servers for as long as resolv.conf says, half a
minute and more, and libpq asks it in C, where that stops all green threads.
So a thread asks, a green one where threads are, and is let be at the end.

An address that is silent has its share of the time and no more, so that the
next one is tried: libpq knows no timeout where it is polled.
"""

import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from flatnet import deadline
from flatnet.db import timeouts

A = TypeVar("A")
R = TypeVar("R")


def addresses(host: str) -> tuple[str, ...]:
    """Return the addresses of a name in the resolver's order.

    An address is its own.

    :raises OSError: there are none, or they are not known in time
    """
    try:
        return (str(ipaddress.ip_address(host)),)
    except ValueError:
        pass
    found: list[tuple[str, ...] | OSError] = []

    def look() -> None:
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError as error:
            found.append(error)
        except UnicodeError:
            found.append(OSError("it is no name of a host"))
        else:
            found.append(tuple(dict.fromkeys(str(a[4][0]) for a in answers)))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(deadline.left(timeouts.CONNECT))
    outcome = found[0] if found else TimeoutError("no name server answers")
    if isinstance(outcome, OSError):
        raise outcome
    return outcome


def first(
    attempts: Sequence[A],
    make: Callable[[A], R],
    failure: type[Exception],
) -> R:
    """Return what is made of the first attempt that does not fail.

    :param attempts: one or more
    :raises failure: that of the last, where all of them fail
    """
    *others, last = attempts
    for number, each in enumerate(others):
        share = deadline.left() / (len(attempts) - number)
        try:
            with deadline.within(share):
                return make(each)
        except failure:
            continue
    return make(last)
