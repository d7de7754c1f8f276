"""The one message that the privileged applier understands, on a socket.

A message is a length (4 bytes, big endian) and that many bytes of JSON.
msgspec checks every field of a request against the dataclasses of
`flatnet.state.plan` while it decodes, so that a broken or hostile peer gets an
error and not half a plan.
"""

import socket
import struct
from dataclasses import dataclass

import msgspec

from flatnet.apply import shared_texts
from flatnet.exceptions import ApplierUnavailable
from flatnet.state.changes import Changes
from flatnet.state.parts import Delta
from flatnet.state.plan import Uplink
from flatnet.state.taken_addresses import InUse

_LENGTH = struct.Struct(">I")
# The parts of 1000 instances in ten groups each are below 4 MiB.
MAXIMUM_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Work:
    """Parts to bring the host to: all, or a delta on those of `base`.

    `number` is that of the parts that come of it.  `renewed` are the uuids
    of instances that begin anew.  `whole` asks to look at all that there
    is, and else at what is in the delta, at the guests `looked_at`, and at
    those whose ports what failed before has left undone.  `found` is the
    number of the last whole work whose found ports the daemon knows.
    """

    number: int
    delta: Delta
    base: int | None = None
    renewed: tuple[str, ...] = ()
    whole: bool = True
    looked_at: tuple[str, ...] = ()
    found: int | None = None


@dataclass(frozen=True)
class Request:
    """Ask what the kernel says of `uplinks`, or to apply `work`.

    Or what is in the way of a `prospect`: an uplink that no network uses yet,
    and the bridge that it would be enslaved to.  Or to take back addresses of
    ours that keep the host from what it has `needed` all along.
    """

    uplinks: tuple[str, ...] = ()
    work: Work | None = None
    prospect: tuple[str, str] | None = None
    needed: tuple[InUse, ...] | None = None


@dataclass(frozen=True)
class Reply:
    """The answer to a Request; `trouble` and `error` are one line or none.

    `lacks_base`: what the delta of the work is based on is not here, so that
    nothing was done.  `as_found`: the ports are those of the work that the
    request named, and are left out.
    """

    uplinks: tuple[Uplink, ...] = ()
    changes: Changes | None = None
    trouble: str = ""
    error: str | None = None
    lacks_base: bool = False
    as_found: bool = False


def send(connection: socket.socket, message: Request | Reply) -> None:
    """Send one message whole.

    :raises OSError: the peer is gone
    """
    body = msgspec.json.encode(message)
    connection.sendall(_LENGTH.pack(len(body)) + body)


def receive_request(connection: socket.socket) -> Request:
    """Return the next request.

    :raises EOFError: the peer closed the connection between messages
    :raises msgspec.ValidationError: a field is not what it must be
    """
    request = msgspec.json.decode(_receive(connection), type=Request)
    if request.work is not None:
        shared_texts.share(request.work.delta.put.guests)
    return request


def receive_reply(connection: socket.socket) -> Reply:
    """Return the next reply.

    :raises ApplierUnavailable: the peer closed the connection
    :raises TimeoutError: it was silent for as long as the socket allows
    """
    try:
        return msgspec.json.decode(_receive(connection), type=Reply)
    except TimeoutError:
        raise
    except (EOFError, OSError) as error:
        raise ApplierUnavailable(
            "the applier process ended during a request; it is started again"
        ) from error


def _receive(connection: socket.socket) -> bytes:
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    if length > MAXIMUM_BYTES:
        raise EOFError(f"a message of {length} bytes is not accepted")
    return _exactly(connection, length)


def _exactly(connection: socket.socket, count: int) -> bytes:
    chunks = bytearray()
    while len(chunks) < count:
        chunk = connection.recv(min(count - len(chunks), 1 << 20))
        if not chunk:
            raise EOFError("the connection is closed")
        chunks += chunk
    return bytes(chunks)
