"""What whoever runs a DHCP server says of leases, as it comes.

Nobody waits for an answer, and what cannot be is a line of the log.
"""

import logging

from flatnet.db import checks, leases
from flatnet.db.engine import Database

LOG = logging.getLogger(__name__)


class Leases:
    """Notes which addresses are leased."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lease(self, address: str, mac: str | None) -> None:
        """Note that an address is leased, if it is that MAC's.

        :param mac: none where the caller is too old to say it
        """
        (found,) = checks.macs([mac]) if mac else (None,)
        known = leases.lease(self._database, address=address, mac=found)
        if not known:
            _log_unknown("lease", address, mac)

    def release(self, address: str, mac: str | None) -> None:
        """Note that it is leased no more, if it was that MAC's.

        Without a MAC nobody can tell whose lease that was.
        """
        for each in checks.macs([mac]) if mac else ():
            if leases.release(self._database, address=address, mac=each):
                return
        _log_unknown("release", address, mac)


def _log_unknown(what: str, address: str, mac: str | None) -> None:
    LOG.info(
        "%s of %r by %s: no interface with that MAC has that address; nothing "
        "is done",
        what,
        address,
        mac or "nobody",
    )
