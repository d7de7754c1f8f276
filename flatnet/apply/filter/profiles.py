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
from collections.abc import Iterator

from flatnet.apply.filter.matches import accepted
from flatnet.apply.filter.tables import AddressSet, Chain
from flatnet.filtering import Filter, Group

ROOT = "flatnet-tree"
TREE_PREFIX = "flatnet-p-"
GROUP_PREFIX = "flatnet-g-"
_PROFILE_DIGITS = 12


def tree_sets(family: int) -> str:
    """Return how the names of all sets begin that lead somebody on."""
    return f"flatnet-p{family}-"


def of_family(addresses: tuple[str, ...], family: int) -> tuple[str, ...]:
    """Return the addresses of one family."""
    return tuple(each for each in addresses if (":" in each) == (family == 6))


class Profiles:
    """The profiles of a host's filtered guests, in one family."""

    def __init__(self, wanted: Filter, family: int) -> None:
        self._family = family
        self._groups = {
            group.id: group for group in wanted.groups if _rules(group, family)
        }
        self._members: dict[tuple[int, ...], set[str]] = defaultdict(set)
        for address, groups in _by_address(wanted, family).items():
            if used := tuple(each for each in groups if each in self._groups):
                self._members[used].add(address)

    def chains(self) -> tuple[Chain, ...]:
        """All chains from the tree's root down, by name."""
        nodes: dict[str, set[str]] = defaultdict(set)
        nodes[""] = set()
        found = []
        for groups in self._members:
            name = _id(groups)
            nodes[""].add(name[:1])
            nodes[name[:1]].add(name[:2])
            nodes[name[:2]].add(name)
            steps = (f"-j {GROUP_PREFIX}{each}" for each in groups)
            found.append(Chain(_node(name), tuple(steps)))
        for node, below in nodes.items():
            rules = tuple(map(self._down, sorted(below)))
            found.append(Chain(_node(node), rules))
        used = {each for groups in self._members for each in groups}
        for each in used:
            rules = _rules(self._groups[each], self._family)
            found.append(Chain(f"{GROUP_PREFIX}{each}", rules, each))
        return tuple(sorted(found, key=lambda chain: chain.name))

    def sets(self) -> Iterator[AddressSet]:
        """The sets that the tree asks, its leaves last."""
        nodes: dict[str, set[str]] = defaultdict(set)
        for groups, addresses in self._members.items():
            name = _id(groups)
            for node in (name[:1], name[:2], name):
                nodes[node] |= addresses
        for node in sorted(nodes, key=lambda each: (len(each), each)):
            name = self._set(node)
            yield AddressSet(name, self._family, frozenset(nodes[node]))

    def _set(self, node: str) -> str:
        return f"{tree_sets(self._family)}{node}"

    def _down(self, node: str) -> str:
        return f"-m set --match-set {self._set(node)} dst -j {_node(node)}"


def _node(name: str) -> str:
    return f"{TREE_PREFIX}{name}" if name else ROOT


def _id(groups: tuple[int, ...]) -> str:
    text = ",".join(map(str, groups))
    return hashlib.sha256(text.encode()).hexdigest()[:_PROFILE_DIGITS]


def _by_address(wanted: Filter, family: int) -> dict[str, tuple[int, ...]]:
    """The groups of each filtered address.

    What two claim for different groups lets in nothing for either.
    """
    found: dict[str, tuple[int, ...]] = {}
    for guest in wanted.guests:
        if guest.filtered:
            for each in of_family(guest.addresses, family):
                known = found.setdefault(each, guest.groups)
                found[each] = known if known == guest.groups else ()
    return found


def _rules(group: Group, family: int) -> tuple[str, ...]:
    return tuple(
        accepted(each) for each in group.openings if each.family == family
    )
