"""Waiting for the database when the daemon starts.

When a whole cloud gets its power back the compute nodes are there before the
database is.  A daemon that ended would be started again, but what is ordered
after it starts guests meanwhile, and they find no taps.  So it waits, as long
as the service manager lets it, and says for what.
"""

import logging
import time

from flatnet.cmd.notify import notify
from flatnet.db import revision
from flatnet.db.engine import Database
from flatnet.exceptions import DatabaseUnavailable

LOG = logging.getLogger("flatnet")
# Seconds until a database that did not answer is asked again.
PAUSE = 2.0


def await_database(database: Database) -> None:
    """Return once the database answers, and has our schema.

    A file is there or not; that is for who starts us to mend.

    :raises DatabaseUnavailable: a file cannot be opened
    :raises SchemaMismatch: it has another schema, or none
    """
    status = f"STATUS=waiting for the database {database.name}"
    notify(status)
    told = ""
    while True:
        try:
            revision.check_revision(database)
        except DatabaseUnavailable as error:
            if database.dialect == "sqlite":
                raise
            reason = str(error)
        else:
            return
        if reason != told:
            notify(f"{status}: {reason}")
            LOG.error("%s; waiting for it", reason)
        told = reason
        time.sleep(PAUSE)
