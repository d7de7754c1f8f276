"""The RPC methods that nova-network had no name for, and ping."""

from typing import Any

import oslo_messaging as messaging

from flatnet.endpoints.backlog import Turns
from flatnet.endpoints.sent_errors import expected
from flatnet.manager import FlatManager
from flatnet.rpc import arguments

Json = dict[str, Any]


class BaseEndpoint:
    """Namespace baseapi: is anybody there?"""

    target = messaging.Target(namespace="baseapi", version="1.1")

    def ping(self, context: Json, arg: Any = None) -> Json:
        """Return the argument."""
        return {"service": "network", "arg": arg}


class FlatnetEndpoint:
    """Namespace flatnet: what nova-network had no name for."""

    target = messaging.Target(namespace="flatnet", version="1.2")

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
    def follow_floating_ips(
        self, context: Json, instance_ids: Any = None, **others: Any
    ) -> dict[str, str]:
        """Return what this host lacks, by the uuids of who suffers."""
        named = arguments.instance_uuids(instance_ids)
        return self._manager.floating.follow(named or frozenset())

    @expected
    def plug_vifs(
        self,
        context: Json,
        instance_id: Any = None,
        instance: Any = None,
        **others: Any,
    ) -> list[Json]:
        """Return NetworkInfo once an instance's ports are there again.

        It is the host of its row that does it.
        """
        reference = arguments.instance_reference(instance_id, instance)
        uuid, host = self._placed(reference)
        if host is None or self._manager.is_here(host):
            self._manager.moves.plug(uuid)
            return self._manager.followed(uuid)
        peer = self._manager.peer(host)
        return peer.plug_vifs(context, instance_id=uuid, host=host)

    @expected
    def unplug_vifs(
        self,
        context: Json,
        instance_id: Any = None,
        instance: Any = None,
        **others: Any,
    ) -> list[Json]:
        """Return NetworkInfo once nothing reaches an instance's interfaces.

        That lasts until they are plugged in, or it is deallocated.
        """
        reference = arguments.instance_reference(instance_id, instance)
        uuid, host = self._placed(reference)
        if host is None or self._manager.is_here(host):
            self._manager.moves.unplug(uuid)
            return self._manager.followed(uuid)
        peer = self._manager.peer(host)
        return peer.unplug_vifs(context, instance_id=uuid, host=host)

    def _placed(self, reference: str) -> tuple[str, str | None]:
        """The uuid of an instance, and the host of its row."""
        instance = self._manager.living(reference)
        return instance.uuid, instance.host

    @expected
    def serve_instances(
        self, context: Json, instance_ids: Any = None, **others: Any
    ) -> dict[str, str]:
        """Return of whom this host is no server yet, by uuid, and why."""
        named = arguments.instance_uuids(instance_ids)
        return self._manager.servers.serve(named or frozenset())

    @expected
    def networks_changed(
        self,
        context: Json,
        network_uuids: Any = None,
        sender: Any = None,
        **others: Any,
    ) -> None:
        """Look at all rows, if one of these networks is here."""
        if sender is None or not self._manager.is_here(sender):
            self._manager.networks.heed(
                arguments.instance_uuids(network_uuids) or frozenset()
            )

    @expected
    def get_host_state(self, context: Json, **others: Any) -> Json:
        """Return what this host made of its last pass."""
        return {**self._manager.host_state(), "calls": self._turns.state()}

    @expected
    def reconcile(
        self, context: Json, instance_ids: Any = None, **others: Any
    ) -> Json:
        """Look at all rows and at the whole host now; return its state.

        Or only at the rows of some instances, where they are named.
        """
        self._manager.reconcile(arguments.instance_uuids(instance_ids))
        return self.get_host_state(context)
