"""Ports that a DHCP server needs, and that somebody else has.

Nothing tells of a port that is free again, and who has it may be about to be
gone.  So it is looked at once a second, as long as a server is not there for
it: each port is bound as dnsmasq does, and let go of at once.
"""

import errno
import socket

_ANY = "0.0.0.0"
_DHCP, _DNS = 67, 53
_UDP, _TCP = socket.SOCK_DGRAM, socket.SOCK_STREAM


class TakenPorts:
    """The bridges whose server could not start for a port of it."""

    def __init__(self) -> None:
        # The address of each, by bridge.
        self._awaited: dict[str, str] = {}

    def clear(self) -> None:
        """Wait for none any more: all servers are to be started."""
        self._awaited.clear()

    def note(self, bridge: str, address: str) -> None:
        """Wait for the ports of a server, if one of them is taken.

        :param address: the one that it listens on
        """
        if not _are_free(address):
            self._awaited[bridge] = address

    def freed(self) -> tuple[str, ...]:
        """The bridges whose server could start by now."""
        return tuple(b for b, a in self._awaited.items() if _are_free(a))


def _are_free(address: str) -> bool:
    """Whether nobody has a port that a server on this address needs."""
    return not (
        _is_taken(_UDP, _ANY, _DHCP)
        or _is_taken(_UDP, address, _DNS)
        or _is_taken(_TCP, address, _DNS)
    )


def _is_taken(kind: int, address: str, port: int) -> bool:
    """Whether another than a dnsmasq has it; these share that for DHCP."""
    with socket.socket(socket.AF_INET, kind) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((address, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False
