"""The tables of a filter, as text.

Every chain of ours begins with `flatnet-` and each built-in chain has one
jump into them.  Bridged packets meet FORWARD too, whose policy others
(Docker) set to DROP: what may cross a bridge is accepted there.
"""

from collections.abc import Mapping
from operator import attrgetter

from flatnet.apply.filter.iptables import floating, gateway
from flatnet.apply.filter.iptables.chain_layout import ChainLayout
from flatnet.apply.filter.iptables.host_services import services
from flatnet.apply.filter.iptables.isolation import Trees, isolation
from flatnet.apply.filter.iptables.tables import Chain, Jump, Table


def tables(
    layout: ChainLayout, trees: Mapping[int, Trees]
) -> tuple[Table, ...]:
    """Return the tables, by family and name.

    A table without a chain of ours is left out.

    :param trees: what makes the chains of groups, by family
    """
    planned = (
        _filter(layout, 4, trees[4]),
        _table(4, "mangle", {"POSTROUTING": gateway.checksums(layout)}),
        _table(
            4,
            "nat",
            {
                "PREROUTING": gateway.metadata(layout)
                + floating.to_guests(layout),
                "OUTPUT": floating.to_guests(layout),
                "POSTROUTING": gateway.source_nat(layout),
            },
            floating.chains(layout),
        ),
        _table(4, "raw", {"PREROUTING": gateway.helpers(layout)}),
        _filter(layout, 6, trees[6]),
    )
    return tuple(table for table in planned if table.chains)


def _filter(layout: ChainLayout, family: int, trees: Trees) -> Table:
    isolated = isolation(layout, family, trees)
    ours = services(layout, family)
    routed = gateway.forwarding(layout, family)
    turned = gateway.turned_back(layout, family)
    crossing = gateway.crossing(layout, family)
    return _table(
        family,
        "filter",
        {
            "INPUT": ours.incoming,
            # Every bridge is judged before any is accepted: a packet may
            # come by one of ours and leave by another.
            "FORWARD": turned + isolated.forward + routed + crossing,
            "OUTPUT": isolated.marking
            + ours.first
            + isolated.output
            + ours.last,
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
        chains=tuple(sorted(ours, key=attrgetter("name"))),
        jumps=tuple(Jump(builtin, f"flatnet-{builtin}") for builtin in used),
    )
