"""The client's methods about floating addresses.

Who calls is what the context says: `project_id`, and `is_admin`, which is true
for who may have what is another project's.  Any host may be asked.
"""

from typing import Any

from flatnet.rpc.caller import Caller, Json


class FloatingCalls(Caller):
    """One method for each RPC method, as `NetworkAPI`."""

    def allocate_floating_ip(
        self,
        context: Json,
        *,
        project_id: str,
        pool: str | None = None,
        auto_assigned: bool = False,
    ) -> str:
        """Return an address that is a project's from now on.

        Each call gives one.

        :param pool: its name; none for the pool `nova`
        :param auto_assigned: it goes once its instance does
        :raises NoMoreFloatingIps: the pool has none left
        :raises FloatingIpPoolNotFound: there is no such pool
        :raises Forbidden: the caller is not of the project
        """
        arguments = {
            "project_id": project_id,
            "pool": pool,
            "auto_assigned": auto_assigned,
        }
        answer: str = self._call(context, "allocate_floating_ip", arguments)
        return answer

    def deallocate_floating_ip(
        self,
        context: Json,
        *,
        address: str,
        affect_auto_assigned: bool = False,
    ) -> None:
        """Give an address back to its pool.

        One that came with its instance stays, unless that is meant.

        :raises FloatingIpNotFoundForAddress: there is none
        :raises FloatingIpAssociated: it leads to an instance
        :raises Forbidden: it is another project's
        """
        arguments = {
            "address": address,
            "affect_auto_assigned": affect_auto_assigned,
        }
        self._call_any(context, "deallocate_floating_ip", arguments)

    def associate_floating_ip(
        self,
        context: Json,
        *,
        floating_address: str,
        fixed_address: str,
        affect_auto_assigned: bool = False,
    ) -> str | None:
        """Return once an address leads to a fixed one.

        Wherever it led before: that instance's uuid is the answer.

        :raises FloatingIpNotFoundForAddress: there is none
        :raises FixedIpNotFoundForAddress: no instance has the fixed address
        :raises Forbidden: one of them is another project's
        """
        arguments = {
            "floating_address": floating_address,
            "fixed_address": fixed_address,
            "affect_auto_assigned": affect_auto_assigned,
        }
        answer: str | None = self._call(
            context, "associate_floating_ip", arguments
        )
        return answer

    def disassociate_floating_ip(
        self,
        context: Json,
        *,
        address: str,
        affect_auto_assigned: bool = False,
    ) -> None:
        """Return once an address leads nowhere.

        :raises FloatingIpNotFoundForAddress: there is none
        :raises FloatingIpNotAssociated: it leads nowhere already
        :raises CannotDisassociateAutoAssignedFloatingIP: it came with its
            instance, and that is not meant
        :raises Forbidden: it is another project's
        """
        arguments = {
            "address": address,
            "affect_auto_assigned": affect_auto_assigned,
        }
        self._call(context, "disassociate_floating_ip", arguments)

    def get_floating_ip(self, context: Json, *, floating_ip_id: int) -> Json:
        """Return a row as a dict, by its id."""
        arguments = {"id": floating_ip_id}
        answer: Json = self._call_any(context, "get_floating_ip", arguments)
        return answer

    def get_floating_ip_by_address(
        self, context: Json, *, address: str
    ) -> Json:
        """Return a row as a dict; errors as for `deallocate_floating_ip`."""
        answer: Json = self._call_any(
            context, "get_floating_ip_by_address", {"address": address}
        )
        return answer

    def get_floating_ips_by_project(self, context: Json) -> list[Json]:
        """Return the rows of the context's project as dicts."""
        return self._listed(context, "get_floating_ips_by_project")

    def get_floating_ips_by_fixed_address(
        self, context: Json, *, fixed_address: str
    ) -> list[str]:
        """Return the addresses that lead to a fixed one."""
        method = "get_floating_ips_by_fixed_address"
        return self._listed(context, method, fixed_address=fixed_address)

    def get_instance_id_by_floating_address(
        self, context: Json, *, address: str
    ) -> str | None:
        """Return the uuid of the instance that an address leads to."""
        method = "get_instance_id_by_floating_address"
        answer: str | None = self._call_any(
            context, method, {"address": address}
        )
        return answer

    def get_floating_ip_pools(self, context: Json) -> list[Json]:
        """Return dicts with the names of the pools, as `name`."""
        return self._listed(context, "get_floating_ip_pools")

    def follow_floating_ips(
        self, context: Json, *, host: str, instance_ids: list[str]
    ) -> dict[str, str]:
        """Return once `host` is as the rows of instances say.

        :returns: what it lacks, by the uuids of those that suffer
        :raises CallNotSupported: its daemon is older than this call
        """
        method = "follow_floating_ips"
        return self._asked(context, method, host, instance_ids=instance_ids)

    def _listed(
        self, context: Json, method: str, **arguments: Any
    ) -> list[Any]:
        answer: list[Any] = self._call_any(context, method, arguments)
        return answer
