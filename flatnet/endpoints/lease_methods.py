"""What nova-dhcpbridge casts; nobody waits for an answer."""

from typing import Any

import oslo_messaging as messaging

from flatnet.endpoints.sent_errors import expected
from flatnet.leases import Leases
from flatnet.rpc import arguments
from flatnet.rpc.client import NETWORK_VERSION

Json = dict[str, Any]


class LeaseEndpoint:
    """Leases that begin and end; no namespace."""

    target = messaging.Target(version=NETWORK_VERSION)

    def __init__(self, leases: Leases) -> None:
        self._leases = leases

    @expected
    def lease_fixed_ip(
        self,
        context: Json,
        address: Any = None,
        mac: Any = None,
        **others: Any,
    ) -> None:
        """Note that an address is leased."""
        self._leases.lease(
            arguments.reference("address", address),
            arguments.optional("mac", mac),
        )

    @expected
    def release_fixed_ip(
        self,
        context: Json,
        address: Any = None,
        mac: Any = None,
        **others: Any,
    ) -> None:
        """Note that it is leased no more."""
        self._leases.release(
            arguments.reference("address", address),
            arguments.optional("mac", mac),
        )
