"""What others change in the kernel, as events.

Two subscriptions: devices, their addresses and whether they forward (who
joined a bridge of ours, who was renamed), and nftables, which iptables-nft is
part of.  An event is a
hint to look; what to make of it is decided by reading the kernel again.
Where events were lost, everything may have changed.

Given up: iptables-legacy, ipset and other kernel settings have no events.
"""

import socket
from dataclasses import dataclass, field

from flatnet.apply.filter.guard.nft_dump import SUBSYSTEM
from flatnet.apply.filter.iptables.native import is_ours
from flatnet.apply.link.devices import Devices, Moved
from flatnet.apply.link.subscription import received, subscribed
from flatnet.apply.netlink import HEADER, NETFILTER, by_kind
from flatnet.apply.own import UNKNOWN, Writer

# From linux/netfilter/nfnetlink.h and nf_tables.h.
_NFTABLES_GROUP = 7
_TABLE_MESSAGES, _CHAIN_MESSAGES = (0, 2), (3, 5)
_RULE_MESSAGES, _SET_MESSAGES = (6, 8), (9, 11, 12, 14)
_NEW_CHAIN, _CREATED = 3, 0x600
_NEW_RULE, _GONE_RULE, _APPENDED = 6, 8, 0x800
_POSITION = 6
_GENERATION = 15
_GENERATION_ID, _GENERATION_PID, _GENERATION_NAME = 1, 2, 3
_OURS = {7: ("flatnet",), 1: ("flatnet",), 3: ("flatnet",)}
_IPTABLES = ("filter", "nat", "mangle")
_BUILTINS = ("FORWARD", "INPUT", "OUTPUT", "PREROUTING", "POSTROUTING")
_LEADING = {(table, chain) for table in _IPTABLES for chain in _BUILTINS}
_PREFIX = "flatnet-"


@dataclass(frozen=True)
class Noticed:
    """What happened since one looked last.

    `moved` is what changed of devices, of addresses and of forwarding.
    `rules` are those who changed tables or chains that are ours or lead to
    ours.  `innocent` are the counts of transactions that
    did not.
    """

    moved: Moved = field(default_factory=Moved)
    rules: tuple[Writer, ...] = ()
    innocent: tuple[int, ...] = ()


@dataclass(frozen=True)
class Event:
    """A message of nftables: its attributes, netlink's flags, and who asked.

    `port` is that of the socket that the change was asked for by.
    """

    kind: int
    family: int
    flags: int
    port: int
    body: bytes

    @property
    def rule_of(self) -> tuple[int, str, str]:
        """The family, table and chain of a rule."""
        values = by_kind(self.body)
        return (
            self.family,
            _text(values.get(1, b"")),
            _text(values.get(2, b"")),
        )


class Watch:
    """The subscriptions of one process; open them before the first look."""

    def __init__(self, *, has_rules_above: bool = False) -> None:
        """`has_rules_above`: foreign rules may stand above our jumps."""
        self._has_rules_above = has_rules_above
        self.devices = Devices()
        self._rules = subscribed(NETFILTER, (_NFTABLES_GROUP,))

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
        rules = _read(self._rules)
        if rules is None:
            return Noticed(moved, (UNKNOWN,))
        transaction: list[Event] = []
        who, innocent = [], []
        for event in map(_parsed, rules):
            if event.kind != _GENERATION:
                transaction.append(event)
                continue
            if self._concerns_us(transaction):
                who.append(_writer(event))
            else:
                innocent.append(_count(event.body))
            transaction = []
        # The generation comes last; where it does not, it was lost.
        if self._concerns_us(transaction):
            who.append(UNKNOWN)
        return Noticed(moved, tuple(dict.fromkeys(who)), tuple(innocent))

    def _concerns_us(self, transaction: list[Event]) -> bool:
        """Whether one of its events does, or a rule came that may be first.

        A rule that takes another's place is said to be appended, too.
        """
        if any(map(concerns_us, transaction)):
            return True
        gone = {e.rule_of for e in transaction if e.kind == _GONE_RULE}
        return any(
            event.kind == _NEW_RULE
            and event.rule_of[1:] in _LEADING
            and (self._has_rules_above or event.rule_of in gone)
            for event in transaction
        )


def concerns_us(event: Event) -> bool:
    """Whether an event is about what is ours, or leads there.

    A rule of others at the end of a built-in chain does not, nor one of
    others that is gone: our jump stands where it stood.
    """
    kind, family = event.kind, event.family
    values = by_kind(event.body)
    table = _text(values.get(1, b""))
    if table in _OURS.get(family, ()):
        return True
    if family not in (2, 10) or table not in _IPTABLES:
        return False
    if kind in _TABLE_MESSAGES:
        return True
    if kind in _CHAIN_MESSAGES:
        # What is new has a flag; else it may have had a name of ours.
        is_another = kind == _NEW_CHAIN and not event.flags & _CREATED
        return is_another or _is_our_chain(_text(values.get(3, b"")))
    if kind in _RULE_MESSAGES:
        chain = _text(values.get(2, b""))
        if chain not in _BUILTINS:
            return _is_our_chain(chain)
        # What is appended comes last, unless it names a place.
        is_last = event.flags & _APPENDED and _POSITION not in values
        return not (kind == _GONE_RULE or is_last) or is_ours(values)
    return False


def _is_our_chain(name: str) -> bool:
    return name.startswith(_PREFIX) or name in _BUILTINS


def _count(body: bytes) -> int:
    return int.from_bytes(by_kind(body).get(_GENERATION_ID, b""))


def _writer(generation: Event) -> Writer:
    values = by_kind(generation.body)
    pid = int.from_bytes(values.get(_GENERATION_PID, b""))
    name = _text(values.get(_GENERATION_NAME, b""))
    return Writer(f"{name} ({pid})", generation.port)


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


def _parsed(message: bytes) -> Event:
    _, kind, flags, _, port = HEADER.unpack_from(message)
    if kind >> 8 != SUBSYSTEM:
        return Event(-1, 0, 0, 0, b"")
    body = message[HEADER.size + 4 :]
    return Event(kind & 0xFF, message[HEADER.size], flags, port, body)


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")
