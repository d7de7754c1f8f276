"""What of iptables a transaction of nftables touched that is anything to us.

It is told by what is said of each change, and the kernel is not asked.  What
it cannot be told of counts as touched.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

from flatnet.apply.filter.guard.nft_dump import FAMILIES, Values, text
from flatnet.apply.filter.iptables.iptables import BUILTINS, PREFIX
from flatnet.apply.filter.iptables.kernel_tables import NFT_FAMILIES, is_ours
from flatnet.apply.filter.iptables.saved import tables_key

# From linux/netfilter/nf_tables.h.
_TABLES, _CHAINS, _RULES = (0, 2), (3, 5), (6, 8)
_NEW_CHAIN, _NEW_RULE, _GONE_RULE = 3, 6, 8
_TABLE, _CHAIN, _NAME, _POSITION = 1, 2, 3, 6
# Of netlink: it was made anew, it comes last.
_CREATED, _APPENDED = 0x600, 0x800
_BY_NUMBER = {FAMILIES[name]: each for each, name in NFT_FAMILIES.items()}
_HOOKED = {chain for chains in BUILTINS.values() for chain in chains}


class Builtin(NamedTuple):
    """A chain of iptables that the kernel calls; `family` is 4 or 6."""

    family: int
    table: str
    chain: str


class Told(NamedTuple):
    """What the kernel says of one change; `family` and `kind` as it does."""

    kind: int
    family: int
    flags: int
    values: Values


@dataclass(frozen=True)
class Touched:
    """`families` of which anything that is ours may be otherwise.

    `above`: where rules of others came that may stand before our jumps.
    """

    families: frozenset[int] = frozenset()
    above: frozenset[Builtin] = frozenset()

    def __or__(self, other: "Touched") -> "Touched":
        return Touched(
            self.families | other.families, self.above | other.above
        )

    @property
    def keys(self) -> frozenset[Hashable]:
        """What is no longer proven of iptables.

        Who came before us is looked at in time: see `rules_above`.
        """
        return frozenset(map(tables_key, self.families))


NOTHING = Touched()


def touched(told: list[Told], *, has_foreign_openings: bool) -> Touched:
    """Return what a transaction touched.

    :param told: its changes that are about tables of iptables' families
    :param has_foreign_openings: foreign rules may stand above our jumps
    """
    found = NOTHING
    replaced = {_place(each) for each in told if each.kind == _GONE_RULE}
    for each in told:
        place = _place(each)
        if place.table not in BUILTINS:
            continue
        if _is_about_us(each, place):
            found |= Touched(frozenset((place.family,)))
        elif each.kind in _RULES and place.chain in _HOOKED:
            # One that takes another's place is said to come last, too.
            is_last = each.flags & _APPENDED and _POSITION not in each.values
            if has_foreign_openings:
                # Ours may have to go up, also where one has gone.
                found |= Touched(frozenset((place.family,)))
            elif each.kind == _NEW_RULE and (not is_last or place in replaced):
                found |= Touched(above=frozenset((place,)))
    return found


def _is_about_us(told: Told, place: Builtin) -> bool:
    """Whether it is about what is ours, or leads there."""
    if told.kind in _TABLES:
        return True
    if told.kind in _CHAINS:
        # What is new has a flag; else it may have had a name of ours.
        is_another = told.kind == _NEW_CHAIN and not told.flags & _CREATED
        name = text(told.values.get(_NAME, b""))
        return is_another or name.startswith(PREFIX) or name in _HOOKED
    if told.kind in _RULES:
        is_inside = place.chain.startswith(PREFIX)
        return is_inside or (place.chain in _HOOKED and is_ours(told.values))
    return False


def _place(told: Told) -> Builtin:
    values = told.values
    return Builtin(
        _BY_NUMBER[told.family],
        text(values.get(_TABLE, b"")),
        text(values.get(_CHAIN, b"")),
    )
