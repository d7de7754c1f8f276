"""What flatnet owns of iptables and ipset, as text."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from flatnet.state.sliced_collections import SlicedSet


@dataclass(frozen=True)
class Chain:
    """An iptables chain of ours: `rules` without the leading `-A name`.

    `group` is the id of the security group whose rules these are, or none.
    `any_order` says that each rule leads on elsewhere, whatever stands before
    it, so that its mark is its own.
    """

    name: str
    rules: tuple[str, ...] = ()
    group: int | None = None
    any_order: bool = False


@dataclass(frozen=True)
class Jump:
    """The one way from a built-in chain into a chain of ours."""

    builtin: str
    chain: str


@dataclass(frozen=True)
class Table:
    """What flatnet owns of one iptables table; `family` is 4 or 6."""

    family: int
    name: str
    chains: tuple[Chain, ...] = ()
    jumps: tuple[Jump, ...] = ()


def emptied(table: Table, names: Collection[str]) -> Table:
    """Return the table with nothing in the chains named."""
    chains = (
        replace(chain, rules=()) if chain.name in names else chain
        for chain in table.chains
    )
    return replace(table, chains=tuple(chains))


@dataclass(frozen=True)
class AddressSet:
    """An ipset of single addresses; `family` is 4 or 6.

    `members` are as the kernel has them (see `ipset.packed`).
    `closes` says that its members are shut, and not let in somewhere;
    `guards` that somebody is open where it lacks members; `source` is the
    group whose members these are, wherever they are.
    """

    name: str
    family: int
    members: SlicedSet[bytes] = field(default_factory=SlicedSet)
    closes: bool = False
    guards: bool = False
    source: int | None = None


@dataclass(frozen=True)
class Rules:
    """All of it: tables by family and name, sets by name."""

    tables: tuple[Table, ...] = ()
    sets: tuple[AddressSet, ...] = ()

    def names(self, family: int) -> frozenset[str]:
        """The names of the tables of a family."""
        return frozenset(t.name for t in self.tables if t.family == family)
