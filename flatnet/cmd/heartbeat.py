"""Telling the cluster that this daemon lives, whatever else waits.

On connections of its own: when all others wait for a lock that somebody
holds, the host lives all the same.
"""

import logging

from flatnet.cmd import hostname
from flatnet.cmd.hostrows import BINARY
from flatnet.config.settings import Settings
from flatnet.db import services
from flatnet.db.engine import Database
from flatnet.exceptions import FlatnetError
from flatnet.plan.conditions import report_interval

LOG = logging.getLogger("flatnet")
# Seconds that a report is tried for, at least.
_PATIENCE = 5.0


class Heartbeat:
    """Reports; close it when done."""

    def __init__(self, settings: Settings) -> None:
        self.pause = float(report_interval(settings.reconcile_interval))
        self._settings = settings
        self._database = Database(
            settings.connection, patience=max(self.pause, _PATIENCE)
        )
        self._is_silent = False

    def beat(self) -> bool:
        """Report; return false if another daemon has our name by now.

        What cannot be written is told once, until it can again.
        """
        failure = None
        try:
            is_ours = self._report()
        except FlatnetError as error:
            # Told outside of the handler, where oslo.log appends it again.
            failure, is_ours = error, True
        if failure is not None and not self._is_silent:
            LOG.warning("not reported, and trying on: %s", failure)
        if failure is None and self._is_silent:
            LOG.warning("reported again")
        self._is_silent = failure is not None
        return is_ours

    def _report(self) -> bool:
        is_ours = services.report(
            self._database,
            host=self._settings.host,
            binary=BINARY,
            holder=hostname.holder(),
        )
        return (
            is_ours or hostname.claimed(self._database, self._settings) is None
        )

    def close(self) -> None:
        """Close the connections."""
        self._database.close()
