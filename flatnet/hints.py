"""What other hosts are told of, without waiting for them.

Where a hint is lost, the next pass of their timers sees the rows.
"""

import logging

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
    failure = None
    try:
        peers.security_groups_changed(
            {},
            group_ids=list(members.groups),
            instance_ids=list(members.instances),
            sender=host,
        )
    except BrokerUnavailable as error:
        failure = error
    if failure is not None:
        LOG.warning("other hosts were not told of members: %s", failure)
