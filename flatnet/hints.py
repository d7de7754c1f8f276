"""What other hosts are told of, without waiting for them.

Where a hint is lost, the next pass of their timers sees the rows.
"""

import logging

from flatnet.db.orders import Members
from flatnet.exceptions import BrokerUnavailable
from flatnet.rpc import NetworkAPI

LOG = logging.getLogger(__name__)


def tell(peers: NetworkAPI, members: Members) -> None:
    """Let all hosts look at these members of groups.

    They need not wait for this host, nor for it to be well.
    """
    if not members.groups:
        return
    failure = None
    try:
        peers.security_groups_changed(
            {},
            group_ids=list(members.groups),
            instance_ids=list(members.instances),
        )
    except BrokerUnavailable as error:
        failure = error
    if failure is not None:
        LOG.warning("other hosts were not told of members: %s", failure)
