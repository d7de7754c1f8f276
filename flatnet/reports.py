"""Whether there is a daemon to be asked, told from its reports.

A call to a daemon that does not run is answered by nobody: who looks first
knows at once, and why.
"""

from flatnet.db import services
from flatnet.db.engine import Database
from flatnet.exceptions import BrokerUnavailable, HostNotFound
from flatnet.plan.conditions import silence
from flatnet.state.rows import Service


def check_heard(
    database: Database, host: str, reconcile_interval: int
) -> Service:
    """Return what the daemon of a host reported, if it can be asked.

    :raises HostNotFound: none ever reported from there
    :raises BrokerUnavailable: it was stopped, or is silent
    """
    service = services.get(database, host)
    if service is None:
        raise HostNotFound(
            f"no flatnet-manager has ever reported from host {host}; check "
            "the name against `flatnet host list`"
        )
    if reason := silence(service, reconcile_interval):
        raise BrokerUnavailable(reason)
    return service
