"""The client of a network manager: one method for each RPC method."""

from typing import Any

from flatnet.rpc.caller import Json
from flatnet.rpc.floating_calls import FloatingCalls
from flatnet.rpc.lease_calls import LeaseCalls
from flatnet.rpc.server_calls import ServerCalls

NETWORK_VERSION = "1.17"


class NetworkAPI(FloatingCalls, LeaseCalls, ServerCalls):
    """Client of the daemons: one method per RPC, for any compute service.

    :param broker: from `transport`
    :param timeout: seconds to wait for an answer; none for the
        configuration's rpc_response_timeout

    Every method raises the errors of `flatnet.exceptions` that the daemon
    raised, or BrokerUnavailable where nobody answered in time.  A call that
    failed is safe to repeat, but `add_fixed_ip_to_instance` and
    `allocate_floating_ip`.
    """

    def ping(self, context: Json, *, arg: Any, host: str | None = None) -> Any:
        """Return {"service": "network", "arg": arg} from `host` or any."""
        return self._call(
            context, "ping", {"arg": arg}, host=host, namespace="baseapi"
        )

    def allocate_for_instance(
        self,
        context: Json,
        *,
        instance_id: str,
        host: str,
        project_id: str | None = None,
        requested_networks: list[list[str | None]] | None = None,
        macs: list[str] | None = None,
        rxtx_factor: float | None = None,
        port_rate: int | None = None,
    ) -> list[Json]:
        """Give an instance its addresses and ports; return NetworkInfo.

        When it returns, the port is on the bridge of `host` and its DHCP
        server knows the instance.

        :param instance_id: the instance's uuid
        :param requested_networks: pairs of a network's uuid and an address
            or none; none for all networks
        :param macs: MAC addresses to use, in order; none for random ones
        :param rxtx_factor: times the option port_rate is what each of its
            ports may send and take; none for what it was, 1 at first
        :param port_rate: bit/s in place of that, 0 for as much as they can;
            none for what it was
        """
        arguments = {
            "instance_id": instance_id,
            "project_id": project_id,
            "host": host,
            "requested_networks": requested_networks,
            "macs": macs,
            "rxtx_factor": rxtx_factor,
            "port_rate": port_rate,
        }
        answer: list[Json] = self._call(
            context, "allocate_for_instance", arguments, host=host
        )
        return answer

    def deallocate_for_instance(
        self,
        context: Json,
        *,
        instance_id: str,
        host: str | None = None,
        project_id: str | None = None,
    ) -> Json | None:
        """Take all of it away; works without the instance's row.

        Any daemon writes the rows, so that it works while that of `host` is
        down; which then follows when it is up again.

        :param host: where it ran; needed where no row says it
        :returns: none once its host has followed, else a dict with
            `followed` false and `hosts`, a dict of who has not and why
        """
        arguments = {
            "instance_id": instance_id,
            "project_id": project_id,
            "host": host,
        }
        answer: Json | None = self._call_any(
            context, "deallocate_for_instance", arguments
        )
        return answer

    def add_fixed_ip_to_instance(
        self,
        context: Json,
        *,
        instance_id: str,
        host: str,
        network_id: str | int,
    ) -> list[Json]:
        """Give an instance one more address; return NetworkInfo.

        The first that it has in a network stays the one that is leased; its
        port may use all.  Each call adds one: where it is not known whether
        one came through, look with `get_instance_nw_info`.

        :param network_id: the network's uuid, or its integer id
        """
        arguments = {
            "instance_id": instance_id,
            "host": host,
            "network_id": network_id,
        }
        answer: list[Json] = self._call(
            context, "add_fixed_ip_to_instance", arguments, host=host
        )
        return answer

    def remove_fixed_ip_from_instance(
        self, context: Json, *, instance_id: str, host: str, address: str
    ) -> list[Json]:
        """Take one address from an instance; return NetworkInfo.

        Its interface stays.  Where that was leased, the next one is from now
        on.

        :raises FixedIpNotFoundForSpecificInstance: it does not hold it
        """
        arguments = {
            "instance_id": instance_id,
            "host": host,
            "address": address,
        }
        answer: list[Json] = self._call(
            context, "remove_fixed_ip_from_instance", arguments, host=host
        )
        return answer

    def get_instance_nw_info(
        self,
        context: Json,
        *,
        instance_id: str,
        host: str,
        project_id: str | None = None,
    ) -> list[Json]:
        """Return NetworkInfo as guests of `host` would see it."""
        arguments = {
            "instance_id": instance_id,
            "project_id": project_id,
            "host": host,
        }
        answer: list[Json] = self._call_any(
            context, "get_instance_nw_info", arguments
        )
        return answer

    def setup_networks_on_host(
        self,
        context: Json,
        *,
        instance_id: str | int,
        host: str,
        teardown: bool = False,
    ) -> None:
        """Return when `host` is ready for the instance, or rid of it."""
        arguments = {
            "instance_id": instance_id,
            "host": host,
            "teardown": teardown,
        }
        self._call(context, "setup_networks_on_host", arguments, host=host)

    def migrate_instance_start(
        self, context: Json, *, instance_uuid: str, source: str, dest: str
    ) -> None:
        """Say that an instance is about to move; any host hears it.

        The move itself is begun by `setup_networks_on_host` of `dest`, and
        given up by its teardown.
        """
        arguments = {
            "instance_uuid": instance_uuid,
            "source": source,
            "dest": dest,
        }
        self._call_any(context, "migrate_instance_start", arguments)

    def migrate_instance_finish(
        self, context: Json, *, instance_uuid: str, source: str, dest: str
    ) -> None:
        """Return when `dest`, where an instance has moved to, serves it.

        Nothing is done where `dest` was not set up for it.
        """
        arguments = {
            "instance_uuid": instance_uuid,
            "source": source,
            "dest": dest,
        }
        self._call(context, "migrate_instance_finish", arguments, host=dest)

    def plug_vifs(
        self, context: Json, *, instance_id: str, host: str | None = None
    ) -> list[Json]:
        """Plug an instance's interfaces in again; return NetworkInfo.

        :param host: where it runs; none to have whoever is asked find out
        """
        return self._plugging(context, "plug_vifs", instance_id, host)

    def unplug_vifs(
        self, context: Json, *, instance_id: str, host: str | None = None
    ) -> list[Json]:
        """Take an instance's ports away; return NetworkInfo.

        It keeps its addresses.  A port that somebody holds open is kept, but
        down.  That lasts until `plug_vifs`, or until it is deallocated,
        whatever host it is on.
        """
        return self._plugging(context, "unplug_vifs", instance_id, host)

    def _plugging(
        self, context: Json, method: str, instance: str, host: str | None
    ) -> list[Json]:
        named = {"instance_id": instance}
        answer: list[Json] = self._call(
            context, method, named, host=host, namespace="flatnet"
        )
        return answer

    def validate_networks(
        self, context: Json, *, networks: list[list[str | None]]
    ) -> None:
        """Raise what allocating these networks and addresses would."""
        self._call_any(context, "validate_networks", {"networks": networks})

    def create_networks(self, context: Json, **arguments: Any) -> list[Json]:
        """Create a network; arguments as nova's (label, cidr, bridge...)."""
        answer: list[Json] = self._call(context, "create_networks", arguments)
        return answer

    def delete_network(self, context: Json, *, uuid: str) -> None:
        """Delete a network that has no allocated address."""
        self._call(context, "delete_network", {"uuid": uuid})

    def get_host_state(
        self, context: Json, *, host: str, timeout: float | None = None
    ) -> Json:
        """Return what `host` made of its last pass.

        :param timeout: seconds, in place of this client's own
        """
        return self._asked(context, "get_host_state", host, timeout)

    def reconcile(
        self,
        context: Json,
        *,
        host: str,
        timeout: float | None = None,
        instance_ids: list[str] | None = None,
    ) -> Json:
        """Have `host` look at all rows; return the same once it has.

        :param instance_ids: uuids, for a look at the rows of these alone
        """
        return self._asked(
            context, "reconcile", host, timeout, instance_ids=instance_ids
        )

    def follow_deallocations(
        self, context: Json, *, host: str, instance_ids: list[str]
    ) -> dict[str, str]:
        """Return once `host` is rid of instances that have no rows any more.

        :param instance_ids: their uuids
        :returns: why it is not, by the uuids of those of which it is not
        :raises CallNotSupported: its daemon is older than this call
        """
        method = "follow_deallocations"
        return self._asked(context, method, host, instance_ids=instance_ids)

    def security_groups_changed(self, context: Json, **told: Any) -> None:
        """Tell all daemons, without waiting; a lost message costs little.

        :param group_ids: the groups that changed
        :param instance_ids: the members that it is about; an empty list
            where it is about rules, none where nobody knows
        :param sender: the host that knows already
        """
        self._tell(context, "security_groups_changed", told)
