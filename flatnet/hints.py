"""What other hosts are told of, without waiting for them.

Where a hint is lost, the next pass of their timers sees the rows.
"""

import logging
from collections.abc import Callable
from typing import Any

from flatnet.db.orders import Concerned
from flatnet.exceptions import BrokerUnavailable
from flatnet.rpc.client import NetworkAPI

LOG = logging.getLogger(__name__)


def tell(peers: NetworkAPI, members: Concerned, *, host: str) -> None:
    """Let all other hosts look at these members of groups.

    They need not wait for this host, nor for it to be well.

    :param host: this one, which looks at them anyway
    """
    if not members.groups:
        return
    told = {
        "group_ids": list(members.groups),
        "instance_ids": list(members.instances),
        "sender": host,
    }
    _cast(peers.security_groups_changed, told, "members")


def tell_of_network(
    peers: NetworkAPI, network_uuid: str, *, host: str
) -> None:
    """Let all other hosts look at a network that this host serves now."""
    told = {"network_uuids": [network_uuid], "sender": host}
    _cast(peers.networks_changed, told, f"network {network_uuid}")


def _cast(cast: Callable[..., None], told: dict[str, Any], what: str) -> None:
    failure = None
    try:
        cast({}, **told)
    except BrokerUnavailable as error:
        failure = error
    if failure is not None:
        LOG.warning("other hosts were not told of %s: %s", what, failure)
