"""What the service manager is told: that the host stands, and what is next.

READY=1 means that the host is as its rows say, not that somebody could ask
for more: a boot does not wait for a broker that is away.  STATUS= says in one
line what the daemon waits for, and `systemctl status` shows it.
"""

import logging
import os
import socket

LOG = logging.getLogger("flatnet")
# Seconds until who does not listen is let be.
_PATIENCE = 2.0
_DRIVERS_LOG = "oslo.messaging._drivers.impl_rabbit"


def notify(*lines: str) -> None:
    """Tell systemd, or whoever gave us a socket, of our state.

    :param lines: assignments such as READY=1, in one message
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    failure = None
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.settimeout(_PATIENCE)
            connection.connect(address)
            connection.sendall("\n".join(lines).encode())
    except OSError as error:
        failure = error
    if failure is not None:
        LOG.warning("NOTIFY_SOCKET %s is not heard: %s", address, failure)


class BrokerWatch(logging.Handler):
    """Put into STATUS= why the broker is not reached.

    The driver tries for ever and tells only its log why it has to.
    """

    def __init__(self, status: str) -> None:
        """`status` is what the reason is appended to."""
        super().__init__(logging.ERROR)
        self._status = status

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of a failure that the driver logs before it tries again."""
        reason = " ".join(record.getMessage().split())
        notify(f"{self._status}: {reason}")

    def __enter__(self) -> None:
        logging.getLogger(_DRIVERS_LOG).addHandler(self)

    def __exit__(self, *_: object) -> None:
        logging.getLogger(_DRIVERS_LOG).removeHandler(self)
