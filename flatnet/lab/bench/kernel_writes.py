"""What was written to a host's kernel; it runs there, and is asked.

    {}
    {"nftables": 2, "links": 0, "addresses": 0, "routes": 0, "sets": 1}

The answer counts since the question before.  The kernel counts transactions
of nftables, to which iptables' belong, and tells of each write of devices,
addresses and routes.  Of ipset it does neither: what counts there is a set
that is another, by its members or by the number that the kernel gave it when
it was made.
"""

import socket
import subprocess
import sys

from flatnet.apply import netlink
from flatnet.apply.filter import nft_proof
from flatnet.apply.link import subscription
from flatnet.apply.netlink import KeptSocket
from flatnet.lab import answering
from flatnet.lab.conversation import Json

_SECONDS = 10.0
# From linux/rtnetlink.h: groups, and the types of messages in fours.
_GROUPS = (1, 5, 7, 9, 11)
_FIRST = 16
_KINDS = ("links", "addresses", "routes")


class Kernel:
    """What was told and read last."""

    def __init__(self) -> None:
        self._events = subscription.subscribed(netlink.ROUTE, _GROUPS)
        self._asking = KeptSocket(netlink.NETFILTER, _SECONDS)
        self._generation = nft_proof.generation(self._asking)
        self._sets = _sets()

    def changes(self, _question: Json) -> Json:
        """What was written since the question before."""
        generation, sets = nft_proof.generation(self._asking), _sets()
        found = {
            "nftables": generation - self._generation,
            **_told(self._events),
            "sets": len(self._sets ^ sets),
        }
        self._generation, self._sets = generation, sets
        return found


def main() -> int:
    """Answer until the input ends."""
    return answering.hold(Kernel().changes)


def _told(events: socket.socket) -> dict[str, int]:
    found = dict.fromkeys(_KINDS, 0)
    for data in subscription.received(events):
        if data is None:
            raise OverflowError("the kernel has told more than we heard")
        for kind, _ in netlink.messages(data):
            number = (kind - _FIRST) // 4
            if number < len(_KINDS):
                found[_KINDS[number]] += 1
    return found


def _sets() -> frozenset[tuple[str, str]]:
    """Each set as the kernel has it, a pair of its head and its members."""
    done = subprocess.run(
        ["ipset", "save"], capture_output=True, text=True, check=True
    )
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        found.setdefault(line.split()[1], []).append(line)
    return frozenset((each[0], "\n".join(each[1:])) for each in found.values())


if __name__ == "__main__":
    sys.exit(main())
