"""What others change in the kernel, as events.

Two subscriptions: devices, their addresses and whether they forward (who
joined a bridge of ours, who was renamed), and nftables, which iptables-nft is
part of.  An event is a
hint to look; what to make of it is decided by reading the kernel again.
Where events were lost, everything may have changed.

Given up: iptables-legacy, ipset and settings of the kernel have no events
here; see `probes` and `file_events`.
"""

import socket
from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from flatnet.apply.filter.guard.guard import FAMILIES, TABLE
from flatnet.apply.filter.guard.nft_dump import (
    CHANGES,
    SUBSYSTEM,
    Values,
    text,
)
from flatnet.apply.filter.guard.nft_dump import FAMILIES as NUMBERS
from flatnet.apply.filter.iptables import touched_tables
from flatnet.apply.filter.iptables.kernel_tables import NFT_FAMILIES
from flatnet.apply.filter.iptables.touched_tables import NOTHING, Told, Touched
from flatnet.apply.link.device_changes import DeviceChanges
from flatnet.apply.link.devices import Devices
from flatnet.apply.link.subscription import received, subscribed
from flatnet.apply.netlink import HEADER, NETFILTER, by_kind
from flatnet.apply.rule_writers import UNKNOWN, Writer

# From linux/netfilter/nf_tables.h.
_GENERATION = 15
_GENERATION_ID, _GENERATION_PID, _GENERATION_NAME = 1, 2, 3
_GUARDS = {NUMBERS[each] for each in FAMILIES}
_OF_IPTABLES = {NUMBERS[each] for each in NFT_FAMILIES.values()}


@dataclass(frozen=True)
class Transaction:
    """One of nftables: who sent it, and what the count was raised to.

    `is_guards`: it touched tables of the guard's, or nobody knows what;
    `touched` is what it may have of iptables.
    """

    writer: Writer
    count: int = 0
    is_guards: bool = False
    touched: Touched = NOTHING

    @property
    def is_about_us(self) -> bool:
        """Whether it touched what is ours or leads there."""
        return self.is_guards or bool(self.touched.families)


@dataclass(frozen=True)
class Noticed:
    """What happened since one looked last.

    `moved` is what changed of devices, of addresses and of forwarding;
    `transactions` are those of nftables, in order.
    """

    moved: DeviceChanges = field(default_factory=DeviceChanges)
    transactions: tuple[Transaction, ...] = ()

    @property
    def carried(self) -> tuple[tuple[int, frozenset[Hashable]], ...]:
        """What is still proven: see `Proven.carry`."""
        return tuple(
            (each.count, each.touched.keys)
            for each in self.transactions
            if not each.is_guards
        )


# Where events were lost.
_ANYTHING = Transaction(UNKNOWN, is_guards=True)


class Watch:
    """The subscriptions of one process; open them before the first look."""

    def __init__(self, *, has_foreign_openings: bool = False) -> None:
        """`has_foreign_openings`: foreign rules may stand above our jumps."""
        self._has_foreign_openings = has_foreign_openings
        self.devices = Devices()
        self._rules = subscribed(NETFILTER, (CHANGES,))

    @property
    def sockets(self) -> tuple[socket.socket, socket.socket]:
        """What becomes readable when something happens."""
        return self.devices.socket, self._rules

    def close(self) -> None:
        """End the subscriptions."""
        self.devices.close()
        self._rules.close()

    def drain(self) -> Noticed:
        """Return what happened since the last call; it does not wait."""
        moved = self.devices.moved()
        messages = _read(self._rules)
        if messages is None:
            return Noticed(moved, (_ANYTHING,))
        found: list[Transaction] = []
        told: list[Told] = []
        for each in messages:
            port, change = _parsed(each)
            if change.kind != _GENERATION:
                told.append(change)
                continue
            values, about = change.values, self._about(told)
            found.append(
                replace(
                    about, writer=_writer(values, port), count=_count(values)
                )
            )
            told = []
        # The generation comes last; where it does not, it was lost.
        if self._about(told).is_about_us:
            found.append(_ANYTHING)
        return Noticed(moved, tuple(found))

    def _about(self, told: list[Told]) -> Transaction:
        """What a transaction of these changes touched."""
        return Transaction(
            UNKNOWN,
            is_guards=any(map(_is_guards, told)),
            touched=touched_tables.touched(
                [each for each in told if each.family in _OF_IPTABLES],
                has_foreign_openings=self._has_foreign_openings,
            ),
        )


def _is_guards(told: Told) -> bool:
    return told.family in _GUARDS and text(told.values.get(1, b"")) == TABLE


def _count(generation: Values) -> int:
    return int.from_bytes(generation.get(_GENERATION_ID, b""))


def _writer(generation: Values, port: int) -> Writer:
    pid = int.from_bytes(generation.get(_GENERATION_PID, b""))
    name = text(generation.get(_GENERATION_NAME, b""))
    return Writer(f"{name} ({pid})", port)


def _read(kernel: socket.socket) -> list[bytes] | None:
    """Return the messages that wait, or nothing known if some were lost."""
    found: list[bytes] = []
    lost = False
    for data in received(kernel):
        lost = lost or data is None
        rest = data or b""
        while len(rest) >= HEADER.size:
            length = HEADER.unpack_from(rest)[0]
            found.append(rest[:length])
            rest = rest[(length + 3) & ~3 :]
    return None if lost else found


def _parsed(message: bytes) -> tuple[int, Told]:
    """Return what a message says, and the port that asked for it."""
    _, kind, flags, _, port = HEADER.unpack_from(message)
    if kind >> 8 != SUBSYSTEM:
        return port, Told(-1, 0, flags, {})
    values = by_kind(message[HEADER.size + 4 :])
    return port, Told(kind & 0xFF, message[HEADER.size], flags, values)
