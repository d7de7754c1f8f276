"""All that is measured: on which lab, at which sizes, in which order."""

from dataclasses import dataclass, replace
from typing import Self

from flatnet.lab.bench import (
    database,
    first_packets,
    foreign,
    group_rules,
    idle,
    joins,
    leases,
    lost_proofs,
    memory,
    repair,
    start,
    traffic,
    whole_passes,
    writes,
)
from flatnet.lab.bench.allocation import many_callers, one_caller
from flatnet.lab.bench.figure import Figure
from flatnet.lab.bench.layout import Layout
from flatnet.lab.spec import MARIADB, POSTGRESQL

SIZES = (1, 100, 500, 1000)


@dataclass(frozen=True)
class Setting:
    """A lab of so many hosts, and the figures that are measured on it.

    `sizes` are numbers of instances on each host, ascending; `quick` those
    of a quick run, none where such a run leaves it out.  Settings with the
    same `database` stand together: they share its server, and the broker.
    """

    layout: Layout
    figures: tuple[Figure, ...]
    sizes: tuple[int, ...] = SIZES
    quick: tuple[int, ...] = ()
    nodes: int = 1
    plug: str = "tap"
    database: str = MARIADB

    def with_figures(self, figures: tuple[Figure, ...]) -> Self:
        """The same with others of its figures."""
        return replace(self, figures=figures)


def _filtered(each: int, groups: int) -> Layout:
    return Layout(same_net=False, each=each, groups=groups)


SUITE = (
    Setting(
        layout=Layout(),
        figures=(*one_caller("unfiltered"), *many_callers("many callers")),
        quick=(1, 20),
    ),
    Setting(
        layout=_filtered(1, 10),
        figures=(
            *one_caller("1 of 10 groups"),
            *many_callers("many callers, 1 of 10 groups"),
            *start.FIGURES,
            *lost_proofs.FIGURES,
            *writes.FIGURES,
            *whole_passes.FIGURES,
            group_rules.figure("a group"),
            *memory.FIGURES,
            *foreign.FIGURES,
            # The last: a process keeps the memory that a crowd has taken.
            *joins.FIGURES,
        ),
        sizes=(0, *SIZES),
        quick=(0, 1),
    ),
    Setting(
        layout=_filtered(1, 10),
        figures=repair.FIGURES,
        sizes=(1, 1000),
        quick=(1,),
    ),
    Setting(
        layout=_filtered(5, 10),
        figures=one_caller("5 of 10 groups"),
        quick=(1,),
    ),
    Setting(
        layout=_filtered(10, 10),
        figures=one_caller("10 of 10 groups"),
        quick=(1,),
    ),
    Setting(
        layout=_filtered(1, 1000),
        figures=(*one_caller("1 of 1000 groups"), *idle.FIGURES),
        quick=(1,),
    ),
    Setting(
        layout=_filtered(5, 1000),
        figures=one_caller("5 of 1000 groups"),
        quick=(1,),
    ),
    Setting(
        layout=_filtered(10, 1000),
        figures=one_caller("10 of 1000 groups"),
        quick=(1,),
    ),
    Setting(
        layout=Layout(same_net=False, each=1, groups=10, fresh=True),
        figures=one_caller("a new group"),
        quick=(1,),
    ),
    Setting(
        layout=Layout(same_net=False, each=1, groups=1000, fresh=True),
        figures=one_caller("a new group beside 1000"),
        sizes=(1, 1000),
        quick=(1,),
    ),
    Setting(
        layout=Layout(),
        figures=(*many_callers("many callers of 4 hosts"), *database.FIGURES),
        sizes=(1, 100),
        quick=(1,),
        nodes=4,
    ),
    Setting(
        layout=_filtered(1, 1),
        figures=(group_rules.figure("a group of 4 hosts"),),
        sizes=(1, 100),
        quick=(1,),
        nodes=4,
    ),
    Setting(
        layout=_filtered(1, 1),
        figures=(
            *traffic.FIGURES,
            first_packets.ONE_OF_MANY,
            *leases.FIGURES,
            group_rules.figure("a group of all"),
        ),
        quick=(1,),
        plug="veth",
    ),
    Setting(
        layout=_filtered(1, 1000),
        figures=first_packets.BY_GROUPS,
        quick=(1,),
        plug="veth",
    ),
    Setting(
        layout=_filtered(1, 10),
        figures=(
            *one_caller("PostgreSQL"),
            *many_callers("many callers, PostgreSQL"),
        ),
        quick=(1,),
        database=POSTGRESQL,
    ),
    Setting(
        layout=Layout(),
        figures=many_callers("many callers of 4 hosts, PostgreSQL"),
        sizes=(1, 100),
        quick=(1,),
        nodes=4,
        database=POSTGRESQL,
    ),
)
