"""nftables by its own library, as the owner of the tables that are ours.

A table with the flags OWNER and PERSIST (Linux 6.9) belongs to one netlink
socket: nobody else can change it, and `nft flush ruleset`, which Debian's
own service runs at each restart, leaves it alone.  When the last holder of
that socket closes it the table stays in force, open to all, until somebody
adopts it who gives the same two flags.  `nft` cannot: it opens a socket of
its own and does not know the second flag.  So we talk to the library that
`nft` is made of, and adopt our tables by a message on the library's socket.

The applier opens the session before it forks its workers, so that the
tables are owned while any of them lives.

Given up: a table that exists without these flags (made by an older kernel or
by hand) cannot get them without a gap; it is used as it is, and owned from
the next boot on.
"""

import contextlib
import ctypes
import errno
import os
import socket
import struct
from collections.abc import Hashable, Iterable, Iterator, Mapping
from types import MappingProxyType, TracebackType
from typing import Self

from flatnet import heap
from flatnet.apply.filter.guard.nft_batch import transacted
from flatnet.apply.filter.guard.nft_dump import request
from flatnet.apply.filter.nft_proof import Proven, generation
from flatnet.apply.netlink import NETFILTER
from flatnet.exceptions import HostSetupError

Name = tuple[str, str]
# From linux/netfilter/nfnetlink.h and nf_tables.h.
_NEW_TABLE, _CREATE = 0, 0x400
_TABLE_NAME, _TABLE_FLAGS = 1, 2
_OWNER_PERSIST = 0x2 | 0x4
_NONE: Mapping[Hashable, object] = MappingProxyType({})


class Session:
    """One conversation with the kernel; what it adopts is ours meanwhile."""

    def __init__(self) -> None:
        self._library = _library()
        self._adopted: set[Name] = set()
        self.proven = Proven()
        # That of ours is open by then.
        generation(self.proven.asking)
        before = _sockets()
        self._context = self._library.nft_ctx_new(0)
        if not self._context:
            raise HostSetupError("nftables cannot be used: no context")
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)
        # A command would have the library read all that there is: of a
        # thousand guests 60 ms.
        opened = _sockets() - before
        if len(opened) != 1:
            self.close()
            raise HostSetupError("nftables cannot be used: no socket")
        self._socket = opened.pop()

    @property
    def ports(self) -> frozenset[int | None]:
        """The netlink ports that we write nftables by, as others see them."""
        with self.shared() as kernel:
            return frozenset(
                (kernel.getsockname()[0], self.proven.asking.port)
            )

    def forget(self) -> None:
        """Drop what another process left unread on the socket we share."""
        with self.shared() as kernel, contextlib.suppress(BlockingIOError):
            kernel.setblocking(False)
            while kernel.recv(1 << 16):
                pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it; the tables stay in force, but anybody may change them."""
        self.proven.asking.close()
        self._library.nft_ctx_free(self._context)

    def run(
        self, text: str, changes: Mapping[Hashable, object] = _NONE
    ) -> None:
        """Do all of `text` or nothing of it.

        :param changes: as for `Proven.writing`
        :raises HostSetupError: refused, and so nothing was changed
        """
        with self.proven.writing(changes):
            status = self._library.nft_run_cmd_from_buffer(
                self._context, text.encode()
            )
            self._library.nft_ctx_get_output_buffer(self._context)
            error = self._library.nft_ctx_get_error_buffer(self._context)
            # For that it has read all tables, of a thousand guests 7 MB, and
            # it keeps them until a command needs less.
            self._library.nft_run_cmd_from_buffer(self._context, b"")
            heap.trim()
            if status:
                raise HostSetupError(f"nft refused: {_line(error.decode())}")

    def lost(self, table: Name) -> None:
        """Note that a table is gone, and has to be adopted anew."""
        self._adopted.discard(table)

    def adopt(self, tables: Iterable[Name]) -> None:
        """Make these tables (family, name) where they are not; own them.

        Where the kernel cannot, or one is there that has no owner, they are
        used without.

        :raises HostSetupError: another living process owns one
        """
        fresh = sorted(set(tables) - self._adopted)
        refused = self._have(fresh, _OWNER_PERSIST) if fresh else 0
        if refused and len(fresh) > 1:
            # Each by itself: it need not be all of them.
            for each in fresh:
                self.adopt((each,))
            return
        if refused in (errno.EOPNOTSUPP, errno.EINVAL):
            refused = self._have(fresh, 0)
        if refused:
            raise HostSetupError(_not_adopted(*fresh[0], refused))
        self._adopted.update(fresh)

    def _have(self, tables: Iterable[Name], flags: int) -> int:
        """Ask for tables in one transaction; return the error, or 0."""
        bodies = (
            request(
                family,
                {
                    _TABLE_NAME: name.encode() + b"\0",
                    _TABLE_FLAGS: struct.pack(">I", flags),
                },
            )
            for family, name in tables
        )
        # Nothing that was read of a table is another by it.
        with self.shared() as kernel, self.proven.writing(_NONE):
            return transacted(kernel, _NEW_TABLE, *bodies, flags=_CREATE)

    @contextlib.contextmanager
    def shared(self) -> Iterator[socket.socket]:
        """The socket that owns the tables, in the library's own mode after."""
        with socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_RAW,
            NETFILTER,
            fileno=os.dup(self._socket),
        ) as kernel:
            blocking = os.get_blocking(self._socket)
            try:
                yield kernel
            finally:
                os.set_blocking(self._socket, blocking)


def _not_adopted(family: str, name: str, refused: int) -> str:
    if refused == errno.EPERM:
        return (
            f"nftables table {family} {name} belongs to another process: is "
            "a second flatnet-manager running?"
        )
    return (
        f"nftables table {family} {name} cannot be made: "
        f"{os.strerror(refused)}"
    )


def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError as error:
        raise HostSetupError(
            "libnftables is missing: apt-get install nftables"
        ) from error
    library.nft_ctx_new.restype = ctypes.c_void_p
    for name in (
        "nft_ctx_free",
        "nft_ctx_buffer_output",
        "nft_ctx_buffer_error",
        "nft_ctx_get_output_buffer",
        "nft_ctx_get_error_buffer",
    ):
        function = getattr(library, name)
        function.argtypes = [ctypes.c_void_p]
        function.restype = ctypes.c_char_p if "get" in name else ctypes.c_int
    library.nft_run_cmd_from_buffer.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
    ]
    return library


def _sockets() -> set[int]:
    """The descriptors of this process that are sockets."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:"):
            found.add(int(name))
    return found


def _line(text: str) -> str:
    return text.strip().partition("\n")[0] or "it does not say why"
