"""How a device queues what it sends, and what it does with what it gets.

Of qdiscs and filters that alone is asked and set which keeps a rate.  Ours are
known by what others do not take by chance: a qdisc by its handle, a filter by
its preference.
"""

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Container
from dataclasses import dataclass

from flatnet.apply.link.rtnl import change, dump
from flatnet.apply.netlink import attribute, by_kind
from flatnet.exceptions import HostSetupError

# "FN".  The kernel itself gives out handles from 0x8001 on.
OURS = 0x464E
SHAPER = "tbf"
# From linux/rtnetlink.h and linux/pkt_sched.h.
_NEW_QDISC, _DELETE_QDISC, _GET_QDISC = 36, 37, 38
_NEW_FILTER, _DELETE_FILTER, _GET_FILTER = 44, 45, 46
_CREATE, _EXCLUSIVE, _REPLACE = 0x400, 0x200, 0x100
MESSAGE = struct.Struct("=BxxxiIII")
ROOT, INGRESS, _INGRESS_FILTERS = 0xFFFFFFFF, 0xFFFFFFF1, 0xFFFFFFF2
_INGRESS_HANDLE = 0xFFFF0000
_KIND, _OPTIONS = 1, 2
# From linux/if_ether.h: ETH_P_ALL, as it is on the wire.
_ALL_PROTOCOLS = socket.htons(3)
# struct tc_tbf_qopt: two of struct tc_ratespec, limit, buffer, mtu.
_TBF = struct.Struct("=BBHhHI12xIII")
_TBF_MAIN, _TBF_RATE64, _TBF_BURST = 1, 4, 6
_ETHERNET = 1
_LARGEST_RATE = (1 << 32) - 1
# Of u32: one key that fits all, and what is done with these.
_U32_SELECTOR, _U32_ACTIONS = 5, 7
_EVERYTHING = struct.pack("=BBBxHHhHI", 1, 0, 1, 0, 0, 0, 0, 0) + bytes(16)
_ACTION_KIND, _ACTION_OPTIONS = 1, 2
_MIRRED = struct.Struct("=IIiiiiI")
_MIRRED_MAIN = 2
_STOLEN, _REDIRECT = 4, 1


@dataclass(frozen=True, slots=True)
class Qdisc:
    """What a device queues by; `number` is the major of its handle.

    It is 0 where the kernel chose it itself.  `parent` is where it is: `ROOT`,
    `INGRESS`, or below another.  `rate` (bytes/s) and `limit`
    (bytes) are those of a shaper, else 0.
    """

    index: int
    kind: str
    number: int
    parent: int
    rate: int = 0
    limit: int = 0

    @property
    def ours(self) -> bool:
        """Whether it is a shaper of ours."""
        return self.number == OURS and self.kind == SHAPER


def qdiscs(
    indexes: Container[int] | None = None,
) -> dict[tuple[int, int], Qdisc]:
    """Return those of some devices, by the device's index and the parent.

    Asked for one, the kernel would tell all who listen for changes.  Some it
    shows to nobody, as that of a veth that nobody has set any.

    :param indexes: of these devices, none for all
    :raises HostSetupError: the kernel does not tell
    """
    question = MESSAGE.pack(0, 0, 0, 0, 0)
    found = (
        _qdisc(body)
        for kind, body in dump(_GET_QDISC, question)
        if kind == _NEW_QDISC
        and (indexes is None or MESSAGE.unpack_from(body)[1] in indexes)
    )
    return {(each.index, each.parent): each for each in found}


def shape(index: int, *, rate: int, burst: int, limit: int) -> None:
    """Have a device send so many bytes/s; one that does is changed in place.

    :raises HostSetupError, OSError: the kernel cannot, or refuses
    """
    main = _TBF.pack(
        0, _ETHERNET, 0, 0, 0, min(rate, _LARGEST_RATE), limit, 0, 0
    )
    options = attribute(_TBF_MAIN, main)
    options += attribute(_TBF_BURST, struct.pack("=I", burst))
    options += attribute(_TBF_RATE64, struct.pack("=Q", rate))
    body = MESSAGE.pack(0, index, OURS << 16, ROOT, 0)
    body += _named(SHAPER) + attribute(_OPTIONS, options)
    _do(_NEW_QDISC, body, _CREATE | _REPLACE, "qdisc tbf (sch_tbf)")


def unshape(index: int) -> None:
    """Have a device send as the kernel chooses; errors as `shape`."""
    body = MESSAGE.pack(0, index, OURS << 16, ROOT, 0)
    _do(_DELETE_QDISC, body, 0, "qdisc tbf")


def redirected(index: int) -> int | None:
    """Return the index of the device that ours sends what comes in to.

    None where there is no filter of ours, 0 where it is not as we made it.

    :raises HostSetupError: the kernel does not tell
    """
    question = MESSAGE.pack(0, index, 0, _INGRESS_FILTERS, 0)
    targets = [
        target
        for kind, body in dump(_GET_FILTER, question)
        if kind == _NEW_FILTER
        and MESSAGE.unpack_from(body)[4] >> 16 == OURS
        and (target := _target(body)) is not None
    ]
    if not targets:
        return None
    return targets[0] if len(targets) == 1 else 0


def redirect(index: int, target: int) -> None:
    """Send all that comes in by a device to another; errors as `shape`."""
    body = MESSAGE.pack(0, index, _INGRESS_HANDLE, INGRESS, 0)
    body += _named("ingress")
    # Somebody else's serves as well.
    with contextlib.suppress(FileExistsError):
        flags = _CREATE | _EXCLUSIVE
        _do(_NEW_QDISC, body, flags, "qdisc ingress (sch_ingress)")
    main = _MIRRED.pack(0, 0, _STOLEN, 0, 0, _REDIRECT, target)
    action = attribute(_ACTION_KIND, b"mirred\0") + attribute(
        _ACTION_OPTIONS, attribute(_MIRRED_MAIN, main)
    )
    options = attribute(_U32_SELECTOR, _EVERYTHING)
    options += attribute(_U32_ACTIONS, attribute(1, action))
    body = _filter(index) + _named("u32") + attribute(_OPTIONS, options)
    what = "filter u32 with mirred (cls_u32, act_mirred)"
    _do(_NEW_FILTER, body, _CREATE | _EXCLUSIVE, what)


def unredirect(index: int, holder: Qdisc | None) -> None:
    """Let what comes in by a device go its way; errors as `shape`.

    :param holder: what holds our filter; it goes too if that was the last,
        for then it does nothing, whoever made it
    """
    _do(_DELETE_FILTER, _filter(index), 0, "filter u32")
    question = MESSAGE.pack(0, index, 0, _INGRESS_FILTERS, 0)
    others = any(True for _ in dump(_GET_FILTER, question))
    if holder and holder.kind == "ingress" and not others:
        body = MESSAGE.pack(0, index, _INGRESS_HANDLE, INGRESS, 0)
        _do(_DELETE_QDISC, body, 0, "qdisc ingress")


def _filter(index: int) -> bytes:
    """The head of a message about our filter; a handle of 0 means all."""
    about = OURS << 16 | _ALL_PROTOCOLS
    return MESSAGE.pack(0, index, 0, _INGRESS_FILTERS, about)


def _do(kind: int, body: bytes, flags: int, what: str) -> None:
    """Have something done.

    :param what: it needs
    :raises HostSetupError: this kernel does not have that
    :raises OSError: it refuses
    """
    try:
        change(kind, body, flags)
    except OSError as error:
        if error.errno == errno.ENOENT and flags:
            raise HostSetupError(f"this kernel has no {what}") from error
        raise OSError(
            error.errno, f"{what}: {os.strerror(error.errno or 0)}"
        ) from error


def _qdisc(body: bytes) -> Qdisc:
    _, index, handle, parent, _ = MESSAGE.unpack_from(body)
    values = by_kind(body[MESSAGE.size :])
    kind = values.get(_KIND, b"").rstrip(b"\0").decode()
    rate = limit = 0
    if kind == SHAPER:
        options = by_kind(values.get(_OPTIONS, b""))
        *_, rate, limit, _, _ = _TBF.unpack_from(options[_TBF_MAIN])
        if _TBF_RATE64 in options:
            (rate,) = struct.unpack_from("=Q", options[_TBF_RATE64])
    return Qdisc(index, kind, handle >> 16, parent, rate, limit)


def _target(body: bytes) -> int | None:
    """Where a filter sends to, 0 for nowhere; none for a table of them."""
    options = by_kind(by_kind(body[MESSAGE.size :]).get(_OPTIONS, b""))
    if _U32_SELECTOR not in options:
        return None
    actions = by_kind(options.get(_U32_ACTIONS, b""))
    action = by_kind(actions.get(1, b""))
    main = by_kind(action.get(_ACTION_OPTIONS, b"")).get(_MIRRED_MAIN)
    if len(actions) != 1 or not main:
        return 0
    *_, how, target = _MIRRED.unpack_from(main)
    has_all = options[_U32_SELECTOR][16:24] == bytes(8)
    return target if has_all and how == _REDIRECT else 0


def _named(kind: str) -> bytes:
    return attribute(_KIND, kind.encode() + b"\0")
