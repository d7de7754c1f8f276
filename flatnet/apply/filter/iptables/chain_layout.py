"""What the chains of a filter are made of, and no single guest.

As long as it is the same, so are all chains: who comes or goes is a member of
sets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from flatnet.state.filtering import (
    FlatNetwork,
    FloatingAddress,
    Gateway,
    Group,
    Outside,
)


@dataclass(frozen=True)
class ChainLayout:
    """The networks, groups and settings of a filter, and kinds of guests.

    `networks` are those with guests, `filtered` those with filtered ones.
    `has_open` says that there are others.  `profiles` are the groups of
    filtered guests, as far as these have rules in a family, by family;
    `whole_profiles` are all of their groups, where groupcasts are judged.
    """

    same_network: bool = True
    networks: tuple[FlatNetwork, ...] = ()
    filtered: tuple[FlatNetwork, ...] = ()
    has_open: bool = False
    profiles: Mapping[int, frozenset[tuple[int, ...]]] = field(
        default_factory=dict
    )
    whole_profiles: frozenset[tuple[int, ...]] = frozenset()
    groups: tuple[Group, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    outside: Outside = field(default_factory=Outside)
    floating: tuple[FloatingAddress, ...] = ()

    @cached_property
    def groups_by_id(self) -> Mapping[int, Group]:
        """The groups by id."""
        return {group.id: group for group in self.groups}
