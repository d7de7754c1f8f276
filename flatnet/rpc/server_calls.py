"""The client's methods about the one server of a network."""

from typing import Any

from flatnet.rpc.caller import Caller, Json


class ServerCalls(Caller):
    """One method for each RPC method, as `NetworkAPI`."""

    def serve_instances(
        self, context: Json, *, host: str, instance_ids: list[str]
    ) -> dict[str, str]:
        """Return once `host` serves instances of other hosts, or serves not.

        :param instance_ids: their uuids
        :returns: why it does not, by the uuids of those that it does not
        :raises CallNotSupported: its daemon is older than this call
        """
        method = "serve_instances"
        return self._asked(context, method, host, instance_ids=instance_ids)

    def networks_changed(self, context: Json, **told: Any) -> None:
        """Tell all daemons, without waiting, as of groups.

        :param network_uuids: the networks whose rows changed
        :param sender: the host that knows already
        """
        self._tell(context, "networks_changed", told)
