"""All that a filter comes to in iptables and ipset, as text.

Every chain of ours begins with `flatnet-` and each built-in chain has one
jump into them.  Bridged packets meet FORWARD too, whose policy others
(Docker) set to DROP: what may cross a bridge is accepted there.
"""

from collections.abc import Mapping

from flatnet.apply.filter import gateway
from flatnet.apply.filter.isolation import Isolation, isolation
from flatnet.apply.filter.matches import source_set
from flatnet.apply.filter.profiles import of_family
from flatnet.apply.filter.services import services
from flatnet.apply.filter.tables import AddressSet, Chain, Jump, Rules, Table
from flatnet.filtering import Filter


def rules(wanted: Filter) -> Rules:
    """Return the tables and the sets of a filter.

    A table without a chain of ours is left out.
    """
    isolated = {family: isolation(wanted, family) for family in (4, 6)}
    planned = (
        _filter(isolated[4], wanted, 4),
        _table(4, "mangle", {"POSTROUTING": gateway.checksums(wanted)}),
        _table(
            4,
            "nat",
            {
                "PREROUTING": gateway.metadata(wanted),
                "POSTROUTING": gateway.source_nat(wanted),
            },
        ),
        _filter(isolated[6], wanted, 6),
    )
    return Rules(
        tuple(table for table in planned if table.chains),
        (
            *(_sources(wanted) if isolated[4].chains else ()),
            *isolated[4].sets,
            *isolated[6].sets,
        ),
    )


def _sources(wanted: Filter) -> tuple[AddressSet, ...]:
    """The members of the groups that an opening names, by family."""
    used = {
        (opening.group, opening.family)
        for group in wanted.groups
        for opening in group.openings
        if opening.group is not None
    }
    members = {each.group: each.addresses for each in wanted.members}
    return tuple(
        AddressSet(
            source_set(group, family),
            family,
            frozenset(of_family(members.get(group, ()), family)),
            source=group,
        )
        for group, family in sorted(used)
    )


def _filter(isolated: Isolation, wanted: Filter, family: int) -> Table:
    ours = services(wanted, family)
    routed: tuple[str, ...] = ()
    turned: tuple[str, ...] = ()
    if family == 4:
        routed = gateway.forwarding(wanted)
        turned = gateway.turned_back(wanted)
    crossing = gateway.crossing(wanted, family)
    return _table(
        family,
        "filter",
        {
            "INPUT": ours.incoming,
            # Every bridge is judged before any is accepted: a packet may
            # come by one of ours and leave by another.
            "FORWARD": turned + isolated.forward + routed + crossing,
            "OUTPUT": ours.first + isolated.output + ours.last,
        },
        isolated.chains,
    )


def _table(
    family: int,
    name: str,
    wanted: Mapping[str, tuple[str, ...]],
    chains: tuple[Chain, ...] = (),
) -> Table:
    """Return a table with one chain of ours per built-in chain."""
    used = {
        builtin: tuple(dict.fromkeys(mine))
        for builtin, mine in sorted(wanted.items())
        if mine
    }
    first = (Chain(f"flatnet-{b}", mine) for b, mine in used.items())
    ours = (*first, *chains)
    return Table(
        family,
        name,
        chains=tuple(sorted(ours, key=lambda chain: chain.name)),
        jumps=tuple(Jump(builtin, f"flatnet-{builtin}") for builtin in used),
    )
