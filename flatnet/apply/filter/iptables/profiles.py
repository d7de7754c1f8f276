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
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from flatnet.apply.filter.iptables.matches import accepted
from flatnet.apply.filter.iptables.tables import Chain
from flatnet.state.filtering import Group

ROOT = "flatnet-tree"
TREE_PREFIX = "flatnet-p-"
GROUP_PREFIX = "flatnet-g-"
_PROFILE_DIGITS = 12
_REMEMBERED = 1 << 14
Profile = tuple[int, ...]


def tree_sets(family: int) -> str:
    """Return how the names of all sets begin that lead somebody on."""
    return f"flatnet-p{family}-"


def of_family(addresses: Iterable[str], family: int) -> tuple[str, ...]:
    """Return the addresses of one family."""
    return tuple(each for each in addresses if (":" in each) == (family == 6))


@lru_cache(_REMEMBERED)
def path(profile: Profile, family: int) -> tuple[str, ...]:
    """Return the names of the sets that lead to a profile, its own last."""
    name = _id(profile)
    start = tree_sets(family)
    return tuple(f"{start}{node}" for node in (name[:1], name[:2], name))


def profile_chains(
    profiles: Iterable[Profile], groups: Mapping[int, Group], family: int
) -> tuple[Chain, ...]:
    """Return all chains from the tree's root down, by name.

    :param groups: by id, at least those of the profiles
    """
    profiles = list(profiles)
    used = {each for profile in profiles for each in profile}
    found = [
        *(_profile_chain(profile) for profile in profiles),
        *_nodes(profiles, family),
        *(_group_chain(groups[each], family) for each in used),
    ]
    return tuple(sorted(found, key=lambda chain: chain.name))


def _nodes(profiles: Iterable[Profile], family: int) -> Iterator[Chain]:
    nodes: dict[str, set[str]] = defaultdict(set)
    nodes[""] = set()
    for name in map(_id, profiles):
        nodes[""].add(name[:1])
        nodes[name[:1]].add(name[:2])
        nodes[name[:2]].add(name)
    start = tree_sets(family)
    for node, below in nodes.items():
        rules = (
            f"-m set --match-set {start}{each} dst -j {_node(each)}"
            for each in sorted(below)
        )
        yield Chain(_node(node), tuple(rules), any_order=True)


@lru_cache(_REMEMBERED)
def _profile_chain(profile: Profile) -> Chain:
    steps = tuple(f"-j {GROUP_PREFIX}{each}" for each in profile)
    return Chain(_node(_id(profile)), steps)


@lru_cache(_REMEMBERED)
def _group_chain(group: Group, family: int) -> Chain:
    rules = (accepted(o) for o in group.openings if o.family == family)
    return Chain(f"{GROUP_PREFIX}{group.id}", tuple(rules), group.id)


def _node(name: str) -> str:
    return f"{TREE_PREFIX}{name}" if name else ROOT


@lru_cache(_REMEMBERED)
def _id(profile: Profile) -> str:
    text = ",".join(map(str, profile))
    return hashlib.sha256(text.encode()).hexdigest()[:_PROFILE_DIGITS]
