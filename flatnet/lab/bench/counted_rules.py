"""How many rules a chain of a host has; it runs there, and is asked.

    {"chain": "flatnet-g-1", "at_least": 6}     waits until it has so many
    {"rules": 6}, or fewer if that takes too long

It looks whenever the kernel tells of a change, and not in between, so that it
takes no time from who makes that change.
"""

import select
import sys
import time

from flatnet.apply.filter.guard.nft_dump import CHANGES
from flatnet.apply.filter.iptables.kernel_tables import marks_in
from flatnet.apply.link.subscription import received, subscribed
from flatnet.apply.netlink import NETFILTER, KeptSocket
from flatnet.exceptions import HostSetupError
from flatnet.lab import answering
from flatnet.lab.conversation import Json

_SECONDS = 60.0


class Looker:
    """Looks at chains of iptables' filter table."""

    def __init__(self) -> None:
        self._asking = KeptSocket(NETFILTER, _SECONDS)
        self._changes = subscribed(NETFILTER, (CHANGES,))

    def answer(self, question: Json) -> Json:
        """Wait until a chain has so many rules."""
        end = time.monotonic() + _SECONDS
        while True:
            for _ in received(self._changes):
                pass
            found = self._count(question["chain"])
            left = end - time.monotonic()
            if found >= question["at_least"] or left <= 0:
                return {"rules": found}
            select.select([self._changes], [], [], left)

    def _count(self, chain: str) -> int:
        """How many rules a chain has; -1 where there is none."""
        try:
            return len(marks_in(self._asking, 4, "filter", chain))
        except HostSetupError:
            return -1


def main() -> int:
    """Answer until the input ends."""
    return answering.hold(Looker().answer)


if __name__ == "__main__":
    sys.exit(main())
