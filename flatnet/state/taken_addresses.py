"""Addresses that somebody else has, as values that cross layers.

They lie in a flat network and are nobody's there: this host needs them, or a
machine on the segment has them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InUse:
    """An address that this host itself depends on.

    `what` is whose it is, for people: `the broker`, `the default router`.
    `is_own` says that it is this host's, and not one that it speaks to.
    """

    address: str
    what: str
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """An address of a bridge that was not set, for it is somebody else's.

    `reason` says whose, in one line.  `answered` says that a machine on the
    segment said so, whom nobody vouches for.
    """

    network_uuid: str
    address: str
    reason: str
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Declined:
    """An address that its own guest declined: its server withholds it."""

    bridge: str
    address: str
    mac: str
