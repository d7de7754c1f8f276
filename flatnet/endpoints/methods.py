"""The RPC methods by name, version and namespace.

Each takes arguments as callers of any age send them, leaves them plain to
the manager, and answers in JSON primitives.  Arguments that are not known
are ignored, as are unknown keys of the context.
"""

import contextlib
import functools
from dataclasses import asdict
from typing import Any

import oslo_messaging as messaging

from flatnet.endpoints.backlog import Turns
from flatnet.endpoints.floating_methods import FloatingEndpoint
from flatnet.endpoints.lease_methods import LeaseEndpoint
from flatnet.endpoints.own_methods import BaseEndpoint, FlatnetEndpoint
from flatnet.endpoints.sent_errors import expected
from flatnet.exceptions import InstanceElsewhere, InstanceNotFound
from flatnet.manager import FlatManager
from flatnet.rpc import arguments
from flatnet.rpc.client import NETWORK_VERSION

Json = dict[str, Any]
# nova's create arguments that mean the same here.
_CREATE = (
    "label",
    "cidr",
    "bridge",
    "uuid",
    "cidr_v6",
    "bridge_interface",
    "gateway",
    "gateway_v6",
    "dns1",
    "dns2",
    "fixed_cidr",
    "allowed_start",
    "allowed_end",
    "multi_host",
    "enable_dhcp",
    "mtu",
    "project_id",
)
_CREATED_OF_TEXT = ("uuid", "bridge", "bridge_interface", "project_id")


class NetworkEndpoint:
    """What nova-network answered to; no namespace."""

    target = messaging.Target(version=NETWORK_VERSION)

    def __init__(self, manager: FlatManager) -> None:
        self._manager = manager

    @expected
    def allocate_for_instance(
        self,
        context: Json,
        instance_id: Any = None,
        host: str | None = None,
        requested_networks: Any = None,
        macs: Any = None,
        **others: Any,
    ) -> list[Json]:
        """Return NetworkInfo once the instance's port is on the bridge.

        It is the host of its row that does it, whichever the call names.
        """
        reference = arguments.instance_reference(instance_id)
        allocate = functools.partial(
            self._manager.allocate,
            requested=arguments.requested(requested_networks),
            macs=arguments.macs(macs),
            **arguments.rates(others),
        )
        if host is not None and self._manager.is_here(host):
            # Nearly always that is so, and by its uuid: it is not looked up
            # first, for whoever writes its rows looks too.
            with contextlib.suppress(InstanceNotFound, InstanceElsewhere):
                return allocate(reference)
        instance, host = self._placed(reference, host)
        if host is None or self._manager.is_here(host):
            return allocate(instance)
        return self._manager.peer(host).allocate_for_instance(
            context,
            instance_id=instance,
            host=host,
            project_id=others.get("project_id"),
            requested_networks=requested_networks,
            macs=macs,
            rxtx_factor=others.get("rxtx_factor"),
            port_rate=others.get("port_rate"),
        )

    @expected
    def deallocate_for_instance(
        self,
        context: Json,
        instance_id: Any = None,
        instance: Any = None,
        host: str | None = None,
        **others: Any,
    ) -> Json | None:
        """Return once nothing of the instance is left on its host.

        Where its host cannot follow now, the answer names it, and why.
        """
        data = arguments.plain(instance)
        if host is None and isinstance(data, dict):
            host = data.get("host")
        reference = arguments.instance_reference(instance_id, instance)
        return self._manager.deallocate(reference, hint=host)

    @expected
    def add_fixed_ip_to_instance(
        self,
        context: Json,
        instance_id: Any = None,
        host: str | None = None,
        network_id: Any = None,
        **others: Any,
    ) -> list[Json]:
        """Return NetworkInfo once the instance has one more address.

        It is the host of its row that does it.  Each call adds one.
        """
        network = arguments.reference("network_id", network_id)
        reference = arguments.instance_reference(instance_id)
        instance, host = self._placed(reference, host)
        if host is None or self._manager.is_here(host):
            return self._manager.add_address(instance, network)
        return self._manager.peer(host).add_fixed_ip_to_instance(
            context, instance_id=instance, host=host, network_id=network
        )

    @expected
    def remove_fixed_ip_from_instance(
        self,
        context: Json,
        instance_id: Any = None,
        host: str | None = None,
        address: Any = None,
        **others: Any,
    ) -> list[Json]:
        """Return NetworkInfo once the instance has an address no more.

        It is the host of its row that does it.
        """
        named = arguments.reference("address", address)
        reference = arguments.instance_reference(instance_id)
        instance, host = self._placed(reference, host)
        if host is None or self._manager.is_here(host):
            return self._manager.remove_address(instance, named)
        return self._manager.peer(host).remove_fixed_ip_from_instance(
            context, instance_id=instance, host=host, address=named
        )

    def _placed(
        self, reference: str, host: str | None
    ) -> tuple[str, str | None]:
        """The uuid of an instance, and the host to do what is asked.

        That of its row, or else that which the call names, if it does.
        """
        instance = self._manager.living(reference)
        if not instance.host and host is not None:
            host = arguments.reference("host", host)
        return instance.uuid, instance.host or host

    @expected
    def get_instance_nw_info(
        self,
        context: Json,
        instance_id: Any = None,
        host: str | None = None,
        **others: Any,
    ) -> list[Json]:
        """Return NetworkInfo, computed for `host`, whoever is asked."""
        reference = arguments.instance_reference(instance_id)
        return self._manager.network_info(
            self._manager.uuid_of(reference), host
        )

    @expected
    def setup_networks_on_host(
        self,
        context: Json,
        instance_id: Any = None,
        host: str | None = None,
        teardown: bool = False,
        instance: Any = None,
        **others: Any,
    ) -> None:
        """Return when `host` is ready for the instance, or rid of it."""
        reference = arguments.instance_reference(instance_id, instance)
        if host is not None and not self._manager.is_here(host):
            self._manager.peer(host).setup_networks_on_host(
                context, instance_id=reference, host=host, teardown=teardown
            )
        elif teardown:
            self._manager.renew(*self._manager.moves.tear_down(reference))
        else:
            self._manager.moves.set_up(reference)

    @expected
    def migrate_instance_start(
        self,
        context: Json,
        instance_uuid: Any = None,
        source: Any = None,
        dest: Any = None,
        **others: Any,
    ) -> None:
        """Return when the source hears the guest wherever it is by now.

        That is so where the destination was set up for it: nova starts a move
        once more, to the same host, when it has just given it up.
        """
        reference = arguments.instance_reference(instance_uuid)
        host = arguments.reference("dest", dest)
        instance = self._manager.living(reference).uuid
        if source is None or not self._manager.moves.is_expected(
            reference, host
        ):
            return
        source = arguments.reference("source", source)
        if source != host:
            self._manager.moves.leave(instance, source)
            self._manager.renew(instance, [source])

    @expected
    def migrate_instance_finish(
        self,
        context: Json,
        instance_uuid: Any = None,
        dest: Any = None,
        **others: Any,
    ) -> None:
        """Return when the destination is as the rows say by now."""
        reference = arguments.instance_reference(instance_uuid)
        host = arguments.reference("dest", dest)
        if not self._manager.moves.is_expected(reference, host):
            return
        if self._manager.is_here(host):
            self._manager.moves.set_up(reference)
        else:
            # By a name that daemons of before have too.
            self._manager.peer(host).setup_networks_on_host(
                context, instance_id=reference, host=host
            )
        self._manager.floating.moved(self._manager.uuid_of(reference))

    @expected
    def validate_networks(
        self, context: Json, networks: Any = None, **others: Any
    ) -> None:
        """Raise what allocating these networks and addresses would."""
        self._manager.networks.check_requested(arguments.requested(networks))

    @expected
    def create_networks(self, context: Json, **others: Any) -> list[Json]:
        """Return the network that was created, as a list of one dict."""
        given = {name: others.get(name) for name in _CREATE}
        for name in _CREATED_OF_TEXT:
            given[name] = arguments.optional(name, given[name])
        for name in ("label", "cidr"):
            given[name] = arguments.reference(name, given[name])
        return [asdict(self._manager.networks.create(**given))]

    @expected
    def delete_network(
        self, context: Json, uuid: str | None = None, **others: Any
    ) -> None:
        """Delete a network that has no allocated address."""
        self._manager.networks.delete(arguments.optional("uuid", uuid or None))


def all_of(manager: FlatManager, turns: Turns) -> list[object]:
    """Return all that a daemon answers to."""
    return [
        BaseEndpoint(),
        NetworkEndpoint(manager),
        FloatingEndpoint(manager.floating),
        LeaseEndpoint(manager.leases),
        FlatnetEndpoint(manager, turns),
    ]
