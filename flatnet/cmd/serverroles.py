"""The networks that this host is the one server of: taken by its rows."""

import logging
from collections.abc import Callable, Iterable

from flatnet.apply.link.hardware import mac_of
from flatnet.db import server_roles
from flatnet.db.engine import Database
from flatnet.exceptions import Conflict, NotFound
from flatnet.plan.bridge import bridge_mac
from flatnet.state.rows import Network, Snapshot
from flatnet.state.shared_networks import serves_all
from flatnet.state.taken_addresses import InUse

LOG = logging.getLogger(__name__)


class ServerRoles:
    """What the rows of one host say that it serves for all.

    :param quarantine: seconds before a released address is given out
    :param in_use: what this host depends on now
    :param tell: tells other hosts of a network that this one serves now,
        and does not wait
    :param hardware: the MAC of a device by its name
    """

    def __init__(
        self,
        database: Database,
        host: str,
        *,
        quarantine: int,
        in_use: Callable[[], tuple[InUse, ...]] = tuple,
        tell: Callable[[str], None] = lambda _: None,
        hardware: Callable[[str], str | None] = mac_of,
    ) -> None:
        self._database = database
        self._host = host
        self._quarantine = quarantine
        self._in_use = in_use
        self._tell = tell
        self._hardware = hardware

    def take(self, rows: Snapshot) -> bool:
        """Take what is nobody's, or this host's; return whether rows differ.

        What cannot be taken is a warning, and no other network's trouble.
        """
        taken = [self._claimed(uuid) for uuid in rows.unclaimed]
        told = [self._told(each) for each in self._served(rows.networks)]
        return any(taken) or any(told)

    def _claimed(self, network_uuid: str) -> bool:
        failure = None
        try:
            won = server_roles.claim(
                self._database,
                network_uuid=network_uuid,
                host=self._host,
                quarantine=self._quarantine,
                in_use=self._in_use(),
            )
        except (Conflict, NotFound) as error:
            failure = error
        if failure is not None:
            LOG.warning("network %s is not served: %s", network_uuid, failure)
            return False
        if won:
            LOG.info("this host serves all of network %s", network_uuid)
            self._tell(network_uuid)
        # Else another host does, by rows that are newer than these.
        return True

    def _served(self, networks: Iterable[Network]) -> list[Network]:
        return [each for each in networks if serves_all(each, self._host)]

    def _told(self, network: Network) -> bool:
        """Let other hosts know the MAC that serves, if it is another."""
        planned = bridge_mac(self._host, network.uuid)
        mac = self._hardware(network.bridge) or planned
        if mac == network.server_mac:
            return False
        server_roles.tell_mac(
            self._database, network_id=network.id, host=self._host, mac=mac
        )
        return True
