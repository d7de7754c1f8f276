"""Floating addresses: whose they are, and the hosts that follow.

Rows go at once, whoever is asked.  Then the host of who has an address no more
looks at its rows, and that of who has it now; each does so by itself too, once
it can.
"""

import logging
from collections.abc import Callable

from flatnet.config.settings import Settings
from flatnet.db import (
    bindings,
    floating_ips,
    floating_lists,
    floating_pools,
    instances,
)
from flatnet.db.engine import Database
from flatnet.db.floating_ips import FloatingIp, Led
from flatnet.exceptions import (
    CallNotSupported,
    FlatnetError,
    FloatingIpAssociateFailed,
    Forbidden,
    HostSetupError,
    InstanceNotFound,
)
from flatnet.passes.reconciler import Reconciler
from flatnet.rpc.client import NetworkAPI
from flatnet.state.requester import Requester
from flatnet.state.rows import GONE
from flatnet.state.scope import Scope

LOG = logging.getLogger(__name__)


class FloatingAdmin:
    """What callers ask of floating addresses.

    :param peer: returns the client by which a host is reached, or raises why
        it is not to be
    :param timeout: seconds that a caller waits for this host to be ready
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        reconciler: Reconciler,
        *,
        peer: Callable[[str], NetworkAPI],
        timeout: float,
    ) -> None:
        self._settings = settings
        self._database = database
        self._reconciler = reconciler
        self._peer = peer
        self._timeout = timeout

    def allocate(
        self,
        requester: Requester,
        *,
        project_id: str | None,
        pool: str | None,
        auto_assigned: bool,
    ) -> str:
        """Give a project an address; errors as `db.floating_ips`."""
        project_id = project_id or requester.project_id
        if not requester.is_admin and project_id != requester.project_id:
            raise Forbidden(f"the caller is not of project {project_id}")
        return floating_ips.allocate(
            self._database,
            pool=pool,
            project_id=project_id,
            auto_assigned=auto_assigned,
        )

    def deallocate(
        self, requester: Requester, address: str, *, is_meant: bool
    ) -> None:
        """Give an address back; errors as `db.floating_ips`.

        :param is_meant: also if it came with its instance
        """
        floating_ips.deallocate(
            self._database,
            address=address,
            requester=requester,
            affect_auto_assigned=is_meant,
        )

    def associate(
        self,
        requester: Requester,
        address: str,
        fixed_address: str,
        *,
        is_meant: bool,
    ) -> str | None:
        """Lead an address to a fixed one; errors as `db.floating_ips`.

        Return the uuid of the instance that it led to before, if to another
        address.

        :param is_meant: also if it came with its instance
        :raises FloatingIpAssociateFailed: also where this manager is no
            gateway
        """
        if not self._settings.dhcp:
            raise FloatingIpAssociateFailed(
                "FlatManager is no gateway, so that nothing is translated "
                "here: set network_manager to FlatDHCPManager"
            )
        led = floating_ips.associate(
            self._database,
            address=address,
            fixed_address=fixed_address,
            requester=requester,
            affect_auto_assigned=is_meant,
        )
        self._followed(address, led)
        return led.before

    def disassociate(
        self, requester: Requester, address: str, *, is_meant: bool
    ) -> None:
        """Lead an address nowhere; errors as `db.floating_ips`.

        :param is_meant: also if it came with its instance
        """
        led = floating_ips.disassociate(
            self._database,
            address=address,
            requester=requester,
            affect_auto_assigned=is_meant,
        )
        self._followed(address, led)

    def get(self, requester: Requester, address: str) -> FloatingIp:
        """Return one by its address.

        :raises FloatingIpNotFoundForAddress: there is none
        :raises Forbidden: it is another project's
        """
        return _shown(floating_lists.get(self._database, address), requester)

    def get_by_id(self, requester: Requester, number: int) -> FloatingIp:
        """Return one by its id.

        :raises FloatingIpNotFound: there is none
        :raises Forbidden: it is another project's
        """
        found = floating_lists.get_by_id(self._database, number)
        return _shown(found, requester)

    def of_project(self, requester: Requester) -> tuple[FloatingIp, ...]:
        """Return those that the caller's project has."""
        project_id = requester.project_id
        if project_id is None:
            return ()
        return floating_lists.list_all(self._database, project_id=project_id)

    def of_fixed_address(
        self, requester: Requester, address: str
    ) -> tuple[FloatingIp, ...]:
        """Return those of the caller that lead to a fixed address."""
        return tuple(
            each
            for each in floating_lists.of_fixed_address(
                self._database, address
            )
            if requester.is_admin or each.project_id == requester.project_id
        )

    def pool_names(self) -> tuple[str, ...]:
        """Return the names of the pools."""
        pools = floating_pools.list_all(self._database)
        return tuple(sorted({each.name for each in pools}))

    def moved(self, instance_uuid: str) -> None:
        """Have all hosts look where an instance is, if it has any.

        Each does so by itself soon: what cannot be asked is not waited for.
        """
        if not floating_lists.of_instance(self._database, instance_uuid):
            return
        for host in self._hosts_of(instance_uuid):
            try:
                self._ask(host, instance_uuid)
            except FlatnetError as error:
                LOG.info("host %s was not asked: %s", host, error)

    def follow(self, instances: frozenset[str]) -> dict[str, str]:
        """Bring this host to the rows of instances.

        :returns: what it lacks, by the uuids of those that suffer
        """
        scope = Scope(instances=instances)
        outcome = self._reconciler.ask_and_wait(self._timeout, scope)
        return outcome.lacking(instances)

    def _followed(self, address: str, led: Led) -> None:
        """Have hosts follow; who has an address no more comes first."""
        failure: FlatnetError | None = None
        for instance_uuid in led.instances:
            for host in self._hosts_of(instance_uuid):
                try:
                    self._ask(host, instance_uuid)
                except FlatnetError as error:
                    failure = type(error)(
                        f"floating address {address} is led so by its row, "
                        f"but host {host} has not followed yet and does so "
                        f"when it can: {error}"
                    )
        if failure is not None:
            raise failure

    def _ask(self, host: str, instance_uuid: str) -> None:
        """Have a host look at an instance.

        :raises FlatnetError: it cannot be asked, or lacks something
        """
        asked = [instance_uuid]
        if host == self._settings.host:
            reasons = self.follow(frozenset(asked))
        else:
            peer = self._peer(host)
            try:
                reasons = peer.follow_floating_ips(
                    {}, host=host, instance_ids=asked
                )
            except CallNotSupported:
                # A daemon of before, in the midst of an upgrade, which
                # translates nothing.
                reasons = {instance_uuid: "its flatnet-manager is older"}
        if instance_uuid in reasons:
            raise HostSetupError(reasons[instance_uuid])

    def _hosts_of(self, instance_uuid: str) -> tuple[str, ...]:
        """The hosts that an instance is on, or may be."""
        bound = bindings.list_all(self._database, uuid=instance_uuid)
        hosts = {host for host, each in bound if each.wanted != GONE}
        try:
            hosts.add(instances.get(self._database, instance_uuid).host or "")
        except InstanceNotFound:
            LOG.debug("instance %s is gone", instance_uuid)
        return tuple(sorted(hosts - {""}))


def _shown(found: FloatingIp, requester: Requester) -> FloatingIp:
    """Return one that the requester may see: free ones, and his own."""
    if found.project_id is not None:
        floating_ips.check_owner(found, requester)
    return found
