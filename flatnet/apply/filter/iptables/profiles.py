"""Which sets lead what is bound for a guest to the rules of its groups.

Rules stand once per group, whoever is in it; a guest is a member of sets.  A
profile is the sorted groups of a guest: its chain goes through theirs, one
after the other.  Above the profiles stands a tree of two levels, each node of
which has the members of all profiles below it, so that a packet meets few
sets however many profiles there are.

A profile's place in the tree is made of its own groups alone: who comes or
goes changes the sets on its own path and no chain, and a profile that comes
moves no other.
"""

import hashlib
from collections.abc import Iterable
from functools import lru_cache

ROOT = "flatnet-tree"
TREE_PREFIX = "flatnet-p-"
GROUP_PREFIX = "flatnet-g-"
_PROFILE_DIGITS = 12
_REMEMBERED = 1 << 14
Profile = tuple[int, ...]


def tree_sets(family: int) -> str:
    """Return how the names of all sets begin that lead somebody on."""
    return f"flatnet-p{family}-"


def group_of(chain: str) -> int | None:
    """Return the id of the group whose chain has this name; of others none."""
    start, _, found = chain.rpartition(GROUP_PREFIX)
    return int(found) if found != chain and not start else None


def of_family(addresses: Iterable[str], family: int) -> tuple[str, ...]:
    """Return the addresses of one family."""
    return tuple(each for each in addresses if (":" in each) == (family == 6))


@lru_cache(_REMEMBERED)
def path(profile: Profile, family: int) -> tuple[str, ...]:
    """Return the names of the sets that lead to a profile, its own last."""
    name = profile_id(profile)
    start = tree_sets(family)
    return tuple(f"{start}{node}" for node in (name[:1], name[:2], name))


@lru_cache(_REMEMBERED)
def profile_id(profile: Profile) -> str:
    """Return what the chain and the sets of a profile are called by."""
    text = ",".join(map(str, profile))
    return hashlib.sha256(text.encode()).hexdigest()[:_PROFILE_DIGITS]
