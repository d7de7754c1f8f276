"""How many members the sets of a host have; it runs there, and is asked.

    {"names": [], "at_least": 20000}         any set
    {"names": ["..."], "at_least": 20001}    this set
    {"name": "..."}, once there is one, or {"name": ""} if that takes too long

Sets have no events, so that it looks again and again, with a pause that leaves
the core to others.
"""

import sys
import time
from functools import partial

from flatnet.apply.filter.iptables import ipset_heads, ipset_messages
from flatnet.apply.netlink import KeptSocket
from flatnet.exceptions import HostSetupError
from flatnet.lab import answering
from flatnet.lab.conversation import Json

_SECONDS = 120.0
_PAUSE = 0.0002


def main() -> int:
    """Answer until the input ends."""
    asking = ipset_messages.socket_of_sets()
    return answering.hold(partial(_answer, asking))


def _answer(asking: KeptSocket, question: Json) -> Json:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        for name in question["names"] or ipset_messages.names(asking):
            if _count(name, asking) >= question["at_least"]:
                return {"name": name}
        time.sleep(_PAUSE)
    return {"name": ""}


def _count(name: str, asking: KeptSocket) -> int:
    """How many members a set has; -1 where it has gone."""
    try:
        return ipset_heads.count(name, asking)
    except HostSetupError:
        return -1


if __name__ == "__main__":
    sys.exit(main())
