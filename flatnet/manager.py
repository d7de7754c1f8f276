"""What the daemon does when it is asked: check, write rows, ask for a pass.

FlatManager attaches instances to the bridge.  FlatDHCPManager adds the
bridge's address, DHCP and the gateway.  They are the same machine: the
second only takes an address for its host, and its plan has more in it.
"""

import logging
from dataclasses import asdict
from typing import Any

from flatnet.arguments import Requested
from flatnet.db import (
    allocation,
    instances,
    interfaces,
    networks,
    services,
)
from flatnet.db.engine import Database
from flatnet.exceptions import (
    BrokerUnavailable,
    HostNotFound,
    NetworkNotFound,
)
from flatnet.plan.nwinfo import network_info
from flatnet.reconciler import Reconciler
from flatnet.rows import Network
from flatnet.rpc import NetworkAPI
from flatnet.settings import Settings

LOG = logging.getLogger(__name__)
Json = dict[str, Any]
# How long another host may take to say which ports it has.
PEER_SECONDS = 3.0


class FlatManager:
    """Attach instances to the bridge, and no more.

    :param peers: the client that reaches the daemons of other hosts
    :param timeout: seconds that a caller waits for this host to be ready
    """

    takes_host_address = False

    def __init__(
        self,
        *,
        settings: Settings,
        database: Database,
        reconciler: Reconciler,
        peers: NetworkAPI,
        timeout: float,
    ) -> None:
        self._settings = settings
        self._database = database
        self._reconciler = reconciler
        self._peers = peers
        self._timeout = timeout

    def is_here(self, host: str | None) -> bool:
        """Whether a call that names `host` is this daemon's own work."""
        return host is None or host == self._settings.host

    def peer(self, host: str) -> NetworkAPI:
        """Return the client to pass a call on to `host`.

        :raises HostNotFound: no daemon ever reported from it
        """
        if not services.exists(self._database, host):
            raise HostNotFound(
                f"no flatnet-manager has ever reported from host {host}; "
                "check the name against `flatnet host list`"
            )
        return self._peers

    def allocate(
        self,
        instance_uuid: str,
        *,
        requested: Requested | None,
        macs: tuple[str, ...],
    ) -> list[Json]:
        """Write the rows of an instance and bring this host to them."""
        allocation.allocate(
            self._database,
            instance_uuid=instance_uuid,
            host=self._settings.host,
            requested=requested,
            macs=macs,
            host_address=self.takes_host_address,
            quarantine=self._settings.address_quarantine,
            mac_attempts=self._settings.create_unique_mac_address_attempts,
        )
        outcome = self._reconciler.ask_and_wait(
            self._timeout, renewed=instance_uuid
        )
        self._tell_members(self._groups_of(instance_uuid))
        outcome.check(instance_uuid)
        return self.network_info(instance_uuid, self._settings.host)

    def deallocate(self, instance_uuid: str) -> None:
        """Take away the rows of an instance, and what stood for them."""
        groups = self._groups_of(instance_uuid)
        allocation.deallocate(self._database, instance_uuid=instance_uuid)
        outcome = self._reconciler.ask_and_wait(self._timeout)
        self._tell_members(groups)
        outcome.check(instance_uuid)

    def set_up(self, reference: str) -> None:
        """Bring this host to its rows, for an instance that comes or goes.

        :raises InstanceNotFound: no living instance is meant
        """
        instance_uuid = self.uuid_of(reference)
        if self.takes_host_address:
            attached = interfaces.of_instance(self._database, instance_uuid)
            for _, network in attached:
                if network.multi_host and network.enable_dhcp:
                    allocation.ensure_host_address(
                        self._database,
                        network_uuid=network.uuid,
                        host=self._settings.host,
                        quarantine=self._settings.address_quarantine,
                    )
        outcome = self._reconciler.ask_and_wait(
            self._timeout, renewed=instance_uuid
        )
        outcome.check(instance_uuid)

    def tear_down(self) -> None:
        """Bring this host to its rows once an instance has left it."""
        outcome = self._reconciler.ask_and_wait(self._timeout)
        if outcome.error is not None:
            raise outcome.error

    def uuid_of(self, reference: str) -> str:
        """The uuid of an instance by uuid or integer id."""
        return instances.get(self._database, reference).uuid

    def network_info(self, instance_uuid: str, host: str | None) -> list[Json]:
        """NetworkInfo of an instance, as guests of `host` see it."""
        last = self._reconciler.last
        host = host or self._settings.host
        attached = tuple(
            (
                interface,
                network,
                interfaces.host_address(
                    self._database, network_id=network.id, host=host
                ),
            )
            for interface, network in interfaces.of_instance(
                self._database, instance_uuid
            )
        )
        own_host = instances.get(self._database, instance_uuid).host
        return network_info(
            attached,
            self._settings,
            mtus=last.mtus,
            plugged=self._plugged(own_host),
        )

    def _plugged(self, host: str | None) -> frozenset[str]:
        """The ports that the last pass of a host found on their bridge.

        Who cannot be asked has none that anybody could vouch for.
        """
        if host == self._settings.host:
            return frozenset(self._reconciler.last.changes.plugged)
        if host is None or not services.exists(self._database, host):
            return frozenset()
        try:
            state = self._peers.get_host_state(
                {}, host=host, timeout=PEER_SECONDS
            )
        except BrokerUnavailable as error:
            LOG.warning(
                "ports of host %s count as not active: %s", host, error
            )
            return frozenset()
        return frozenset(state.get("plugged", ()))

    def check_requested(self, requested: Requested | None) -> None:
        """Raise what allocating `requested` would; write nothing."""
        if requested:
            allocation.check_requested(self._database, requested)

    def create_network(self, **arguments: Any) -> Network:
        """Create a network; what is not given comes from the options."""
        options = self._settings
        defaults = {
            "bridge": options.flat_network_bridge,
            "bridge_interface": options.flat_interface or None,
            "multi_host": options.multi_host,
            "injected": options.flat_injected,
        }
        given = {k: v for k, v in arguments.items() if v is not None}
        return networks.create(self._database, **{**defaults, **given})

    def delete_network(self, uuid: str | None) -> None:
        """Delete a network that no instance uses, and its bridge here."""
        if not uuid:
            raise NetworkNotFound("the call names no network")
        networks.delete(self._database, uuid)
        self._reconciler.ask()

    def look_again(self) -> None:
        """Ask for a pass and do not wait: a hint that rows changed."""
        self._reconciler.ask()

    def _groups_of(self, instance_uuid: str) -> list[int]:
        attached = interfaces.of_instance(self._database, instance_uuid)
        return sorted(
            {
                group
                for interface, _ in attached
                for group in interface.security_group_ids
            }
        )

    def _tell_members(self, groups: list[int]) -> None:
        """Let all hosts look at who is in these groups now.

        A hint: where it is lost, the next pass of the timer sees the rows.
        """
        if not groups:
            return
        try:
            self._peers.security_groups_changed({}, group_ids=groups)
        except BrokerUnavailable as error:
            LOG.warning("other hosts were not told of members: %s", error)

    def host_state(self) -> Json:
        """What this host made of its last pass, as JSON primitives."""
        last = self._reconciler.last
        failures = [
            {
                "subject": failure.subject,
                "message": failure.message,
                "instances": list(failure.instances),
            }
            for failure in last.changes.failures
        ]
        return {
            "host": self._settings.host,
            "error": str(last.error) if last.error else None,
            "failures": failures,
            "warnings": list(last.warnings),
            "declined": [asdict(each) for each in last.changes.declined],
            "plugged": list(last.changes.plugged),
            "bridges": [
                {
                    "name": bridge.name,
                    "address": bridge.address,
                    "mtu": bridge.mtu,
                    "uplink": bridge.uplink,
                    "ports": len(bridge.ports),
                }
                for bridge in (last.plan.bridges if last.plan else ())
            ],
        }


class FlatDHCPManager(FlatManager):
    """Attach instances, and be their DHCP server and gateway."""

    takes_host_address = True
