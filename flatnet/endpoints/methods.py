"""The RPC methods by name, version and namespace.

Each takes arguments as callers of any age send them, leaves them plain to
the manager, and answers in JSON primitives.  Arguments that are not known
are ignored, as are unknown keys of the context.
"""

import contextlib
import functools
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar, cast

import oslo_messaging as messaging

from flatnet.endpoints.backlog import Turns
from flatnet.exceptions import (
    FlatnetError,
    InstanceElsewhere,
    InstanceNotFound,
)
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
Method = TypeVar("Method", bound=Callable[..., Any])


def expected(method: Method) -> Method:
    """Let our own errors travel to the caller, not to the log as defects."""
    wrap = messaging.expected_exceptions(FlatnetError)
    return cast(Method, wrap(method))


class BaseEndpoint:
    """Namespace baseapi: is anybody there?"""

    target = messaging.Target(namespace="baseapi", version="1.1")

    def ping(self, context: Json, arg: Any = None) -> Json:
        """Return the argument."""
        return {"service": "network", "arg": arg}


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
        )
        if host is not None and self._manager.is_here(host):
            # Nearly always that is so, and by its uuid: it is not looked up
            # first, for whoever writes its rows looks too.
            with contextlib.suppress(InstanceNotFound, InstanceElsewhere):
                return allocate(reference)
        instance = self._manager.living(reference)
        host = instance.host or host
        if host is None or self._manager.is_here(host):
            return allocate(instance.uuid)
        return self._manager.peer(host).allocate_for_instance(
            context,
            instance_id=instance.uuid,
            host=host,
            project_id=others.get("project_id"),
            requested_networks=requested_networks,
            macs=macs,
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
        instance, host = self._placed(instance_id, host)
        if self._manager.is_here(host):
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
        instance, host = self._placed(instance_id, host)
        if self._manager.is_here(host):
            return self._manager.remove_address(instance, named)
        return self._manager.peer(host).remove_fixed_ip_from_instance(
            context, instance_id=instance, host=host, address=named
        )

    def _placed(self, instance_id: Any, host: str | None) -> tuple[str, str]:
        """The uuid of an instance, and the host to do what is asked.

        That of its row, or else that which the call names.
        """
        reference = arguments.instance_reference(instance_id)
        instance = self._manager.living(reference)
        return instance.uuid, instance.host or host or self._manager.host

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
            self._manager.tear_down(reference)
        else:
            self._manager.set_up(reference)

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
        return [asdict(self._manager.networks.create(**given))]

    @expected
    def delete_network(
        self, context: Json, uuid: str | None = None, **others: Any
    ) -> None:
        """Delete a network that has no allocated address."""
        self._manager.networks.delete(uuid)


class FlatnetEndpoint:
    """Namespace flatnet: what nova-network had no name for."""

    target = messaging.Target(namespace="flatnet", version="1.1")

    def __init__(self, manager: FlatManager, turns: Turns) -> None:
        self._manager = manager
        self._turns = turns

    @expected
    def security_groups_changed(
        self,
        context: Json,
        group_ids: Any = None,
        instance_ids: Any = None,
        sender: Any = None,
        **others: Any,
    ) -> None:
        """Look at the rows again; the sender does not wait.

        Those of these members; or rules, where the list is empty; or both.
        """
        if sender is not None and self._manager.is_here(sender):
            return
        self._manager.groups_changed(
            arguments.group_ids(group_ids),
            arguments.instance_uuids(instance_ids),
        )

    @expected
    def follow_deallocations(
        self, context: Json, instance_ids: Any = None, **others: Any
    ) -> dict[str, str]:
        """Return why this host is not rid of instances, by their uuids."""
        named = arguments.instance_uuids(instance_ids)
        return self._manager.follow(named or frozenset())

    @expected
    def get_host_state(self, context: Json, **others: Any) -> Json:
        """Return what this host made of its last pass."""
        return {**self._manager.host_state(), "calls": self._turns.state()}

    @expected
    def reconcile(self, context: Json, **others: Any) -> Json:
        """Look at all rows and at the whole host now; return its state."""
        self._manager.reconcile()
        return self.get_host_state(context)


def all_of(manager: FlatManager, turns: Turns) -> list[object]:
    """Return all that a daemon answers to."""
    return [
        BaseEndpoint(),
        NetworkEndpoint(manager),
        FlatnetEndpoint(manager, turns),
    ]
