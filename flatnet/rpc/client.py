"""The client of a network manager: one method for each RPC method."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import oslo_messaging as messaging

from flatnet import deadline
from flatnet.exceptions import BrokerUnavailable, CallNotSupported
from flatnet.rpc.broker import TOPIC

NETWORK_VERSION = "1.17"
Json = dict[str, Any]
# Seconds; the library takes none for its own default.
_SHORTEST = 0.1
# The lowest version that has what we send; servers accept every 1.x.
_VERSIONS = {None: "1.0", "baseapi": "1.1", "flatnet": "1.0"}

# How a server says that it has no such method.
_UNKNOWN = ("NoSuchMethod", "UnsupportedVersion")


@contextmanager
def _answered(asked: str) -> Iterator[None]:
    try:
        yield
    except messaging.MessagingTimeout as error:
        raise BrokerUnavailable(
            f"no answer from {asked}; is flatnet-manager running there, and "
            "does it use the same broker?"
        ) from error
    except messaging.RemoteError as error:
        if error.exc_type not in _UNKNOWN:
            raise
        raise CallNotSupported(
            f"{asked} has an older flatnet-manager without that call"
        ) from error
    except messaging.MessageDeliveryFailure as error:
        raise BrokerUnavailable(f"the broker is not reachable: {error}") from (
            error
        )


class NetworkAPI:
    """Client of the daemons: one method per RPC, for any compute service.

    :param broker: from `transport`
    :param timeout: seconds to wait for an answer; none for the
        configuration's rpc_response_timeout

    Every method raises the errors of `flatnet.exceptions` that the daemon
    raised, or BrokerUnavailable where nobody answered in time.  A call that
    failed is safe to repeat.
    """

    def __init__(
        self, broker: messaging.Transport, timeout: float | None = None
    ) -> None:
        target = messaging.Target(topic=TOPIC, version="1.0")
        self._timeout = timeout
        self._client = messaging.get_rpc_client(
            broker, target, timeout=timeout
        )
        # That knows the option.
        self._patience = timeout or broker.conf.rpc_response_timeout

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
    ) -> list[Json]:
        """Give an instance its addresses and ports; return NetworkInfo.

        When it returns, the port is on the bridge of `host` and its DHCP
        server knows the instance.

        :param instance_id: the instance's uuid
        :param requested_networks: pairs of a network's uuid and an address
            or none; none for all networks
        :param macs: MAC addresses to use, in order; none for random ones
        """
        arguments = {
            "instance_id": instance_id,
            "project_id": project_id,
            "host": host,
            "requested_networks": requested_networks,
            "macs": macs,
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
        self, context: Json, *, host: str, timeout: float | None = None
    ) -> Json:
        """Have `host` look at all rows; return the same once it has."""
        return self._asked(context, "reconcile", host, timeout)

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
        caller = self._client.prepare(
            fanout=True, namespace="flatnet", version="1.0"
        )
        with _answered("the broker"):
            caller.cast(context, "security_groups_changed", **told)

    def _asked(
        self,
        context: Json,
        method: str,
        host: str,
        timeout: float | None = None,
        **arguments: Any,
    ) -> Json:
        answer: Json = self._call(
            context,
            method,
            arguments,
            host=host,
            namespace="flatnet",
            timeout=timeout,
        )
        return answer

    def _call(
        self,
        context: Json,
        method: str,
        arguments: Json,
        *,
        host: str | None = None,
        namespace: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        options: Json = {"version": _VERSIONS[namespace]}
        if timeout is None:
            timeout = self._timeout
        # Asked on behalf of a call, there is no more time than its caller
        # has.
        left = deadline.left(math.inf if timeout is None else timeout)
        if left < math.inf:
            options["timeout"] = max(left, _SHORTEST)
        if namespace is not None:
            options["namespace"] = namespace
        if host is not None:
            options["server"] = host
        caller = self._client.prepare(**options)
        with _answered(f"host {host}" if host else "any host"):
            return caller.call(context, method, **arguments)

    def _call_any(self, context: Json, method: str, arguments: Json) -> Any:
        """Ask whoever takes the message, and another one if he is silent.

        Until it notices, the broker hands messages to a machine, too, that
        has lost its power or is frozen.  What is asked here is once if it is
        asked twice.
        """
        half = deadline.left(self._patience) / 2
        try:
            return self._call(context, method, arguments, timeout=half)
        except BrokerUnavailable as error:
            if not isinstance(error.__cause__, messaging.MessagingTimeout):
                raise
        return self._call(context, method, arguments, timeout=half)
