"""Instances that come to a host, leave it, or move from one to another.

What is under way is in the rows: `port_bindings` say on which hosts an
instance is wanted, whatever host its own row names.
"""

import logging
from collections.abc import Callable

from flatnet.db import bindings, host_addresses, interfaces, vifs
from flatnet.db.engine import Database
from flatnet.db.orders import Placing
from flatnet.ledger import Ledger
from flatnet.passes.reconciler import Reconciler
from flatnet.state.rows import GONE
from flatnet.state.scope import of_instance

LOG = logging.getLogger(__name__)


class Moves:
    """What callers ask of an instance and a host that its row may not name.

    :param timeout: seconds that a caller waits for this host to be ready
    :param placement: how this host gives things out now
    """

    def __init__(
        self,
        *,
        host: str,
        database: Database,
        reconciler: Reconciler,
        ledger: Ledger,
        timeout: float,
        placement: Callable[[], Placing],
    ) -> None:
        self._host = host
        self._database = database
        self._reconciler = reconciler
        self._ledger = ledger
        self._timeout = timeout
        self._placement = placement

    def set_up(self, reference: str) -> None:
        """Make this host ready for an instance, wherever it is by its row.

        :raises InstanceNotFound: no living instance is meant
        """
        instance_uuid = self._ledger.living(reference).uuid
        placement = self._placement()
        if placement.takes_address:
            attached = interfaces.of_instance(self._database, instance_uuid)
            for _, network in attached:
                if network.multi_host and network.enable_dhcp:
                    host_addresses.ensure(
                        self._database,
                        network_uuid=network.uuid,
                        host=placement.host,
                        quarantine=placement.quarantine,
                        in_use=placement.in_use,
                    )
        bindings.expect(
            self._database,
            instance_uuid=instance_uuid,
            host=placement.host,
            plug=placement.plug,
        )
        self._reconciler.serve(instance_uuid, self._timeout, renewed=True)

    def tear_down(self, reference: str) -> tuple[str, tuple[str, ...]]:
        """Rid this host of an instance, wherever it is by its row.

        :returns: its uuid, and the hosts that it leaves no more, for here it
            would have arrived
        """
        instance_uuid = self._ledger.uuid_of(reference)
        staying_on = bindings.dismiss(
            self._database,
            instance_uuid=instance_uuid,
            host=self._host,
        )
        outcome = self._reconciler.ask_and_wait(
            self._timeout, of_instance(instance_uuid)
        )
        outcome.check_gone(instance_uuid)
        return instance_uuid, staying_on

    def leave(self, instance_uuid: str, source: str) -> None:
        """Note that an instance leaves a host, be it this one or not.

        From then on it is heard there by the uplink too: its guest runs on
        the other host before any row says so.
        """
        bindings.leave(
            self._database, instance_uuid=instance_uuid, host=source
        )

    def plug(self, instance_uuid: str) -> None:
        """Want the ports of an instance again, on whatever host it is."""
        vifs.plug(self._database, instance_uuid=instance_uuid)

    def unplug(self, instance_uuid: str) -> None:
        """Want none of them, until `plug`."""
        vifs.unplug(self._database, instance_uuid=instance_uuid)

    def hosts_of(self, instance_uuid: str) -> tuple[str, ...]:
        """The other hosts that have, or are to have, ports of an instance."""
        return tuple(sorted(self._wanted_on(instance_uuid) - {self._host}))

    def is_expected(self, reference: str, dest: str) -> bool:
        """Whether an instance is wanted on a host; the log says where not.

        By its row, or by what was set up there and not torn down since.

        :raises InstanceNotFound: no living instance is meant
        """
        instance = self._ledger.living(reference)
        if dest in {instance.host, *self._wanted_on(instance.uuid)}:
            return True
        LOG.info(
            "instance %s: nobody has set up host %s for it, so no move there "
            "is under way; nothing is done",
            instance.uuid,
            dest,
        )
        return False

    def _wanted_on(self, instance_uuid: str) -> frozenset[str]:
        """The hosts that an instance is wanted on, by its bindings."""
        bound = bindings.list_all(self._database, uuid=instance_uuid)
        return frozenset(host for host, each in bound if each.wanted != GONE)
