"""What is added to sets of nftables and deleted from them.

libnftables asks the kernel for all chains of all families before it writes
an element, which with a thousand ports takes longer than the rest of a pass.
So elements are written here, by the same socket: what it owns stays its own.

One that is there already may be added, and one that is gone may be deleted:
a deletion adds it first, for kernels before 6.3 cannot be told to delete what
may not be there.  All of it happens at once or not at all.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flatnet.apply.filter.guard import nft_keys
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.guard.nft_batch import (
    OutdatedError,
    RefusedError,
    Request,
    committed,
)
from flatnet.apply.filter.guard.nft_dump import request
from flatnet.apply.filter.guard.nft_keys import Element
from flatnet.apply.filter.nft_proof import generation
from flatnet.apply.netlink import attribute
from flatnet.exceptions import HostSetupError

# From linux/netlink.h and linux/netfilter/nf_tables.h.
_CREATE, _NESTED = 0x400, 0x8000
_NEW, _DELETE = 12, 14
_TABLE, _SET, _ELEMENTS = 1, 2, 3
_ELEMENT, _KEY, _DATA, _VALUE = 1, 1, 2, 1
_TRIES = 20


@dataclass(frozen=True)
class Change:
    """What one set gets and loses; `key` is its type line.

    An element that is in both is in the set in the end.
    """

    family: str
    table: str
    set: str
    key: str
    added: frozenset[Element] = frozenset()
    removed: frozenset[Element] = frozenset()


def write_elements(
    session: Session, changes: Iterable[Change], before: int
) -> int:
    """Write to any sets in one transaction; return the generation after it.

    It is the one after `before`, or `before` itself if nothing had to be
    changed.

    :param before: the generation (`nft_proof.generation`) that they stand for
    :raises OutdatedError: it is another by now, so read again; nothing was
        changed
    :raises HostSetupError: the kernel refused, and so nothing was changed;
        one line that names the set and, where it is its fault, the element
    :raises ValueError: an element is not of its set's type
    """
    wanted = list(_wanted(changes))
    if not wanted:
        return before
    requests = [each for each, _, _ in wanted]
    with session.shared() as kernel:
        try:
            return committed(kernel, requests, before)
        except RefusedError as error:
            _, change, element = wanted[max(error.place, 0)]
            raise _refused(error, change, element) from error
        except OSError as error:
            raise HostSetupError(
                f"nftables cannot be used: {error}"
            ) from error


def put_elements(session: Session, changes: Iterable[Change]) -> None:
    """Write to any sets in one transaction, whoever has written before.

    Errors are as for `write_elements`.
    """
    wanted = tuple(changes)
    for left in reversed(range(_TRIES)):
        before = generation(session.proven.asking)
        try:
            after = write_elements(session, wanted, before)
        except OutdatedError:
            if not left:
                raise
            continue
        session.proven.wrote(before, after)
        return


def _wanted(
    changes: Iterable[Change],
) -> Iterator[tuple[Request, Change, Element]]:
    for change in changes:
        name = request(
            change.family,
            {
                _TABLE: change.table.encode() + b"\0",
                _SET: change.set.encode() + b"\0",
            },
        )
        steps = (
            (change.removed, (_NEW, _DELETE)),
            (change.added, (_NEW,)),
        )
        for elements, kinds in steps:
            for element in sorted(elements):
                body = name + _listed(change.key, element)
                for kind in kinds:
                    flags = _CREATE if kind == _NEW else 0
                    yield (kind, flags, body), change, element


def _listed(key: str, element: Element) -> bytes:
    both = nft_keys.encoded(key, element)
    size = nft_keys.value_size(key)
    parts = [(_KEY, both[: len(both) - size])]
    if size:
        parts.append((_DATA, both[-size:]))
    data = b"".join(
        attribute(kind | _NESTED, attribute(_VALUE, each))
        for kind, each in parts
    )
    one = attribute(_ELEMENT | _NESTED, data)
    return attribute(_ELEMENTS | _NESTED, one)


def _refused(
    error: RefusedError, change: Change, element: Element
) -> HostSetupError:
    where = f"nftables set {change.family} {change.table} {change.set}"
    if error.number == errno.EPERM:
        return HostSetupError(
            f"{where} belongs to another process: is a second "
            "flatnet-manager running?"
        )
    what = nft_keys.text(change.key, element)
    return HostSetupError(
        f"{where} cannot be written, at {what}: {os.strerror(error.number)}"
    )
