"""The RPC methods about floating addresses, as nova-network had them."""

from typing import Any

import oslo_messaging as messaging

from flatnet.db import floating_lists
from flatnet.endpoints.sent_errors import expected
from flatnet.floating_admin import FloatingAdmin
from flatnet.rpc import arguments
from flatnet.rpc.client import NETWORK_VERSION

Json = dict[str, Any]


class FloatingEndpoint:
    """Floating addresses; no namespace.

    Who calls is what the context says: `project_id` and `is_admin`.
    """

    target = messaging.Target(version=NETWORK_VERSION)

    def __init__(self, floating: FloatingAdmin) -> None:
        self._floating = floating

    @expected
    def allocate_floating_ip(
        self,
        context: Json,
        project_id: Any = None,
        auto_assigned: bool = False,
        pool: Any = None,
        **others: Any,
    ) -> str:
        """Return an address that is the project's from now on."""
        return self._floating.allocate(
            arguments.requester(context),
            project_id=arguments.optional("project_id", project_id),
            pool=arguments.optional("pool", pool),
            auto_assigned=bool(auto_assigned),
        )

    @expected
    def deallocate_floating_ip(
        self,
        context: Json,
        address: Any = None,
        affect_auto_assigned: bool = False,
        **others: Any,
    ) -> None:
        """Give an address back to its pool."""
        self._floating.deallocate(
            arguments.requester(context),
            arguments.reference("address", address),
            is_meant=bool(affect_auto_assigned),
        )

    @expected
    def associate_floating_ip(
        self,
        context: Json,
        floating_address: Any = None,
        fixed_address: Any = None,
        affect_auto_assigned: bool = False,
        **others: Any,
    ) -> str | None:
        """Return, once it leads there, the uuid of who had it before."""
        return self._floating.associate(
            arguments.requester(context),
            arguments.reference("floating_address", floating_address),
            arguments.reference("fixed_address", fixed_address),
            is_meant=bool(affect_auto_assigned),
        )

    @expected
    def disassociate_floating_ip(
        self,
        context: Json,
        address: Any = None,
        affect_auto_assigned: bool = False,
        **others: Any,
    ) -> None:
        """Return once an address leads nowhere."""
        self._floating.disassociate(
            arguments.requester(context),
            arguments.reference("address", address),
            is_meant=bool(affect_auto_assigned),
        )

    @expected
    def get_floating_ip(self, context: Json, **others: Any) -> Json:
        """Return a row as a dict, by its id."""
        number = arguments.row_id("id", others.get("id"))
        found = self._floating.get_by_id(arguments.requester(context), number)
        return floating_lists.as_dict(found)

    @expected
    def get_floating_ip_by_address(
        self, context: Json, address: Any = None, **others: Any
    ) -> Json:
        """Return a row as a dict."""
        named = arguments.reference("address", address)
        found = self._floating.get(arguments.requester(context), named)
        return floating_lists.as_dict(found)

    @expected
    def get_floating_ips_by_project(
        self, context: Json, **others: Any
    ) -> list[Json]:
        """Return the rows of the caller's project as dicts."""
        requester = arguments.requester(context)
        found = self._floating.of_project(requester)
        return [floating_lists.as_dict(each) for each in found]

    @expected
    def get_floating_ips_by_fixed_address(
        self, context: Json, fixed_address: Any = None, **others: Any
    ) -> list[str]:
        """Return the addresses that lead to a fixed one."""
        named = arguments.reference("fixed_address", fixed_address)
        requester = arguments.requester(context)
        found = self._floating.of_fixed_address(requester, named)
        return [each.address for each in found]

    @expected
    def get_instance_id_by_floating_address(
        self, context: Json, address: Any = None, **others: Any
    ) -> str | None:
        """Return the uuid of the instance that an address leads to."""
        named = arguments.reference("address", address)
        requester = arguments.requester(context)
        return self._floating.get(requester, named).instance_uuid

    @expected
    def get_floating_ip_pools(
        self, context: Json, **others: Any
    ) -> list[Json]:
        """Return dicts with the names of the pools."""
        return [{"name": each} for each in self._floating.pool_names()]

    @expected
    def get_floating_pools(self, context: Json, **others: Any) -> list[Json]:
        """Return the same, by its older name."""
        return [{"name": each} for each in self._floating.pool_names()]
